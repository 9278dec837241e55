#include "refine/group.h"

#include "refine/descent.h"

#include <algorithm>

namespace edgeq::refine {

namespace {

int width(int64_t first, int64_t n_columns) {
    return static_cast<int>(std::min<int64_t>(WINDOW, n_columns - first));
}

int64_t count_other_codes(const Format & format, const uint8_t * a, const uint8_t * b, int64_t n_blocks) {
    int64_t n_other = 0;
    Fields fields_a;
    Fields fields_b;
    for (int64_t i = 0; i < n_blocks; ++i) {
        format.unpack(a + i * format.block_bytes(), fields_a);
        format.unpack(b + i * format.block_bytes(), fields_b);
        for (int j = 0; j < format.block; ++j) {
            n_other += fields_a.codes[j] != fields_b.codes[j] ? 1 : 0;
        }
    }
    return n_other;
}

} // namespace

Group::Group(const Moments & moments, ggml_type type)
    : moments_(moments), type_(type), n_columns_(moments.n_columns()), row_bytes_(ggml_row_size(type, n_columns_)),
      residual_(GROUP * n_columns_), gradient_(GROUP * n_columns_), change_(GROUP * WINDOW), window_(WINDOW * WINDOW),
      at_first_(GROUP * row_bytes_) {}

void Group::load(const float * source, uint8_t * blocks, int n_rows) {
    source_ = source;
    blocks_ = blocks;
    n_rows_ = n_rows;
    std::fill(residual_.begin(), residual_.end(), 0.0f);
    std::fill(gradient_.begin(), gradient_.end(), 0.0f);
    to_floats(type_, blocks, residual_.data(), n_rows * n_columns_);
    for (int64_t i = 0; i < n_rows * n_columns_; ++i) {
        residual_[i] = source[i] - residual_[i];
    }
    for (int64_t first = 0; first < n_columns_; first += WINDOW) {
        const Rows left{residual_.data() + first, n_columns_};
        const Rows sums{gradient_.data() + (moments_.blocks() ? first : 0), n_columns_};
        add_products(sums, left, width(first, n_columns_), moments_.row(first), moments_.stride(), moments_.stride());
    }
    for (int r = 0; r < n_rows; ++r) {
        const float * residual = residual_.data() + r * n_columns_;
        float * gradient = gradient_.data() + r * n_columns_;
        for (int64_t i = 0; i < n_columns_; ++i) {
            gradient[i] = moments_.kept() * gradient[i] + moments_.added()[i] * residual[i];
        }
    }
}

double Group::loss() const {
    double sum = 0;
    for (int64_t i = 0; i < n_rows_ * n_columns_; ++i) {
        sum += static_cast<double>(residual_[i]) * gradient_[i];
    }
    return sum;
}

Outcome Group::refine(const Format & format, int n_rounds) {
    std::copy_n(blocks_, n_rows_ * row_bytes_, at_first_.begin());
    Outcome outcome;
    outcome.before = loss();
    std::fill_n(active_, n_rows_, true);
    for (int i = 0; i < n_rounds && std::count(active_, active_ + n_rows_, true) > 0; ++i) {
        int64_t n_changed[GROUP] = {};
        sweep(format, true, n_changed);
        sweep(format, false, n_changed);
        for (int r = 0; r < n_rows_; ++r) {
            active_[r] = active_[r] && 1000 * n_changed[r] >= n_columns_;
        }
    }
    outcome.after = loss();
    outcome.n_changed = count_other_codes(format, at_first_.data(), blocks_, n_rows_ * n_columns_ / format.block);
    return outcome;
}

void Group::sweep(const Format & format, bool scales, int64_t * n_changed) {
    for (int64_t first = 0; first < n_columns_; first += WINDOW) {
        refine_window(format, first, scales, n_changed);
        if (!moments_.blocks()) {
            // The gradients outside of the window.
            const int n = width(first, n_columns_);
            const int64_t end = first + n;
            const float * h = moments_.row(first);
            const Rows change{change_.data(), WINDOW};
            add_products({gradient_.data(), n_columns_}, change, n, h, n_columns_, first);
            add_products({gradient_.data() + end, n_columns_}, change, n, h + end, n_columns_, n_columns_ - end);
        }
    }
}

void Group::refine_window(const Format & format, int64_t first, bool scales, int64_t * n_changed) {
    const int n = width(first, n_columns_);
    moments_.copy_window(first, n, window_.data());
    std::fill(change_.begin(), change_.end(), 0.0f);
    for (int r = 0; r < n_rows_; ++r) {
        if (!active_[r]) {
            continue;
        }
        const int64_t begin = r * n_columns_ + first;
        float * residual = residual_.data() + begin;
        float * change = change_.data() + r * WINDOW;
        std::copy_n(residual, n, change);
        uint8_t * blocks = blocks_ + r * row_bytes_ + ggml_row_size(type_, first);
        Descent descent(format, window_.data(), n, source_ + begin, blocks, residual, gradient_.data() + begin);
        if (scales) {
            descent.refine_scales();
        }
        n_changed[r] += descent.refine_codes();
        descent.store();
        for (int i = 0; i < n; ++i) {
            change[i] = moments_.kept() * (residual[i] - change[i]);
        }
    }
}

} // namespace edgeq::refine
