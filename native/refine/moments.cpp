#include "refine/moments.h"

#include "failure.h"

#include <cstring>
#include <string>

namespace edgeq::refine {

Moments::Moments(const float * values, int64_t n_columns, bool blocks, float shrinkage, float damping)
    : values_(values), n_columns_(n_columns), blocks_(blocks), kept_(1.0f - shrinkage), added_(n_columns) {
    if (!all_finite(values, n_columns * stride())) {
        throw Failure("input", "the second moments are not finite numbers");
    }
    double sum = 0;
    int64_t n_live = 0;
    const auto square = [&](int64_t i) { return window_row(i / WINDOW * WINDOW, i % WINDOW)[i % WINDOW]; };
    for (int64_t i = 0; i < n_columns; ++i) {
        if (square(i) < 0) {
            throw Failure("input", "the second moments have a negative diagonal: they are no second moments");
        }
        sum += square(i);
        n_live += square(i) > 0 ? 1 : 0;
    }
    for (int64_t i = 0; i < n_columns; ++i) {
        if (square(i) > 0) {
            added_[i] = static_cast<float>(shrinkage * square(i) + damping * sum / n_live);
        }
    }
}

void Moments::copy_window(int64_t first, int n, float * h) const {
    for (int i = 0; i < n; ++i) {
        const float * from = window_row(first, i);
        float * to = h + i * WINDOW;
#pragma omp simd
        for (int j = 0; j < n; ++j) {
            to[j] = kept_ * from[j];
        }
        to[i] += added_[first + i];
    }
}

bool all_finite(const float * values, int64_t n) {
    int64_t n_bad = 0;
#pragma omp simd reduction(+ : n_bad)
    for (int64_t i = 0; i < n; ++i) {
        uint32_t bits;
        std::memcpy(&bits, values + i, sizeof(bits));
        n_bad += (bits & 0x7f800000u) == 0x7f800000u ? 1 : 0;
    }
    return n_bad == 0;
}

} // namespace edgeq::refine
