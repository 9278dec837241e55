#include "refine/descent.h"

#include "vectors.h"

#include <algorithm>
#include <cmath>

namespace edgeq::refine {

namespace {

// to[c] += sum over i of left[i] * h[i][c], for i < n and some vectors of columns. Each of the rows that are read side by
// side has sums of its own: one sum alone would wait for each of its additions.
template <int VECTORS, int ROWS> void add_tile(float * to, const float * left, int n, const float * h) {
    Vector sums[ROWS][VECTORS] = {};
    for (int i = 0; i < n; i += ROWS) {
#pragma GCC unroll 4
        for (int p = 0; p < ROWS; ++p) {
            const Vector * row = reinterpret_cast<const Vector *>(h + (i + p) * WINDOW);
#pragma GCC unroll 4
            for (int v = 0; v < VECTORS; ++v) {
                sums[p][v] += left[i + p] * row[v];
            }
        }
    }
    Vector * vectors = reinterpret_cast<Vector *>(to);
#pragma GCC unroll 4
    for (int v = 0; v < VECTORS; ++v) {
#pragma GCC unroll 4
        for (int p = 1; p < ROWS; ++p) {
            sums[0][v] += sums[p][v];
        }
        vectors[v] += sums[0][v];
    }
}

// sums[c] += sum over i of left[i] * h[i][c], for i < n and c < n_sums. Both are multiples of 16.
void add_rows(float * sums, int n_sums, const float * left, int n, const float * h) {
    int c = 0;
    for (; c + 4 * LANES <= n_sums; c += 4 * LANES) {
        add_tile<4, 2>(sums + c, left, n, h + c);
    }
    for (; c < n_sums; c += 16) {
        add_tile<16 / LANES, 4>(sums + c, left, n, h + c);
    }
}

void add_row(float * sums, int n_sums, float left, const float * row) {
#pragma omp simd
    for (int c = 0; c < n_sums; ++c) {
        sums[c] += left * row[c];
    }
}

// The whole number of a range that is nearest; what is no number leaves it where it was.
int nearest(float value, Range range, int before) {
    if (std::isnan(value)) {
        return before;
    }
    const auto low = static_cast<float>(range.low);
    const auto high = static_cast<float>(range.high);
    return static_cast<int>(std::rint(std::min(std::max(value, low), high)));
}

// Whether a step lowers the loss, which along a line is a parabola with its bottom at `best`.
bool falls(float step, float best) {
    return std::fabs(step - best) < std::fabs(best);
}

// The half that is nearest to `before` + `best`, or `before` where nothing is gained, as by an infinite one.
ggml_fp16_t moved(ggml_fp16_t before, float best) {
    const float value = ggml_fp16_to_fp32(before);
    const ggml_fp16_t after = ggml_fp32_to_fp16(value + best);
    const float reached = ggml_fp16_to_fp32(after);
    return falls(reached - value, best) ? after : before;
}

} // namespace

Descent::Descent(const Format & format, const float * h, int n, const float * source, uint8_t * blocks,
                 float * residual, float * gradient)
    : format_(format), h_(h), n_(n), source_(source), blocks_(blocks), residual_(residual), gradient_(gradient) {
    for (int i = 0; i < n / format.block; ++i) {
        format.unpack(blocks + i * format.block_bytes(), fields_[i]);
        decode(format, fields_[i], 0, format.block, values_ + i * format.block);
    }
}

void Descent::refine_scales() {
    for (int block = 0; block < n_ / format_.block; ++block) {
        for (int sub = 0; sub < format_.block / format_.sub_block; ++sub) {
            if (format_.scale.stored()) {
                refine_scale(block, sub);
            }
            if (format_.minimum.stored()) {
                refine_minimum(block, sub);
            }
        }
        refine_d(block);
        if (format_.has_dmin) {
            refine_dmin(block);
        }
    }
}

void Descent::store() {
    for (int block = 0; block < n_ / format_.block; ++block) {
        format_.pack(fields_[block], blocks_ + block * format_.block_bytes());
    }
}

float Descent::best_step(Line & line) const {
    std::fill_n(line.image, line.n, 0.0f);
    add_rows(line.image, line.n, line.direction, line.n, h_ + line.begin * WINDOW + line.begin);
    const float * gradient = gradient_ + line.begin;
    float down = 0;
    float curvature = 0;
#pragma omp simd reduction(+ : down, curvature)
    for (int i = 0; i < line.n; ++i) {
        down += line.direction[i] * gradient[i];
        curvature += line.direction[i] * line.image[i];
    }
    const float best = down / curvature;
    return curvature > 0 && std::isfinite(best) ? best : 0;
}

void Descent::follow(int block, const Line & line, float step) {
    const int begin = line.begin;
    const int end = begin + line.n;
    float change[WINDOW];
    std::copy_n(values_ + begin, line.n, change);
    const int sub = (begin - block * format_.block) / format_.sub_block;
    decode(format_, fields_[block], sub, line.n, values_ + begin);
    for (int i = 0; i < line.n; ++i) {
        change[i] -= values_[begin + i];
        residual_[begin + i] = source_[begin + i] - values_[begin + i];
        gradient_[begin + i] -= step * line.image[i];
    }
    const float * rows = h_ + begin * WINDOW;
    add_rows(gradient_, begin, change, line.n, rows);
    add_rows(gradient_ + end, n_ - end, change, line.n, rows + end);
}

void Descent::refine_scale(int block, int sub) {
    Fields & fields = fields_[block];
    const uint8_t * codes = fields.codes + sub * format_.sub_block;
    const float d = ggml_fp16_to_fp32(fields.d);
    Line line;
    line.begin = block * format_.block + sub * format_.sub_block;
    line.n = format_.sub_block;
    for (int i = 0; i < line.n; ++i) {
        line.direction[i] = d * format_.levels[codes[i]];
    }
    const float best = best_step(line);
    const int before = fields.scales[sub];
    const int after = nearest(static_cast<float>(before) + best, format_.scale, before);
    const auto step = static_cast<float>(after - before);
    if (falls(step, best)) {
        fields.scales[sub] = after;
        follow(block, line, step);
    }
}

void Descent::refine_minimum(int block, int sub) {
    Fields & fields = fields_[block];
    Line line;
    line.begin = block * format_.block + sub * format_.sub_block;
    line.n = format_.sub_block;
    std::fill_n(line.direction, line.n, -ggml_fp16_to_fp32(fields.dmin));
    const float best = best_step(line);
    const int before = fields.minimums[sub];
    const int after = nearest(static_cast<float>(before) + best, format_.minimum, before);
    const auto step = static_cast<float>(after - before);
    if (falls(step, best)) {
        fields.minimums[sub] = after;
        follow(block, line, step);
    }
}

void Descent::refine_d(int block) {
    Fields & fields = fields_[block];
    Line line;
    line.begin = block * format_.block;
    line.n = format_.block;
    for (int i = 0; i < line.n; ++i) {
        line.direction[i] = static_cast<float>(fields.scales[i / format_.sub_block]) * format_.levels[fields.codes[i]];
    }
    const ggml_fp16_t before = fields.d;
    fields.d = moved(before, best_step(line));
    if (fields.d != before) {
        follow(block, line, ggml_fp16_to_fp32(fields.d) - ggml_fp16_to_fp32(before));
    }
}

void Descent::refine_dmin(int block) {
    Fields & fields = fields_[block];
    Line line;
    line.begin = block * format_.block;
    line.n = format_.block;
    for (int i = 0; i < line.n; ++i) {
        line.direction[i] = -static_cast<float>(fields.minimums[i / format_.sub_block]);
    }
    const ggml_fp16_t before = fields.dmin;
    fields.dmin = moved(before, best_step(line));
    if (fields.dmin != before) {
        follow(block, line, ggml_fp16_to_fp32(fields.dmin) - ggml_fp16_to_fp32(before));
    }
}

int Descent::refine_codes() {
    int n_changed = 0;
    for (int first = 0; first < n_; first += format_.sub_block) {
        Fields & fields = fields_[first / format_.block];
        const int sub = first % format_.block / format_.sub_block;
        const float scale = ggml_fp16_to_fp32(fields.d) * static_cast<float>(fields.scales[sub]);
        const float minimum = ggml_fp16_to_fp32(fields.dmin) * static_cast<float>(fields.minimums[sub]);
        if (scale == 0) {
            continue;
        }
        for (int i = first; i < first + format_.sub_block; ++i) {
            const float * row = h_ + i * WINDOW;
            uint8_t & code = fields.codes[i % format_.block];
            if (row[i] == 0) {
                continue; // an input that is always 0
            }
            const float best = gradient_[i] / row[i];
            const float level = format_.levels[code];
            const int nearest = format_.nearest(level + best / scale);
            if (nearest == code || !falls(scale * (format_.levels[nearest] - level), best)) {
                continue;
            }
            code = static_cast<uint8_t>(nearest);
            const float value = scale * format_.levels[nearest] - minimum;
            const float change = values_[i] - value;
            values_[i] = value;
            residual_[i] = source_[i] - value;
            add_row(gradient_, n_, change, row);
            ++n_changed;
        }
    }
    return n_changed;
}

} // namespace edgeq::refine
