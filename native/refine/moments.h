// The second moments H = E[x x'] of a matrix's input, and the regularized H_lambda that refining goes by:
// (1 - lambda) H + lambda diag(H) + damping mean(diag H) I, computed where it is used. No copy of H is made.
#pragma once

#include <cstdint>
#include <vector>

namespace edgeq::refine {

// Columns that are refined together. The blocks of block-diagonal moments have as many.
constexpr int WINDOW = 256;

class Moments {
public:
    // `values`: [k][k], or of `blocks` [k/256][256][256] along the diagonal; outlives this object. Inputs that were
    // always 0 (padding) are not damped, and the mean is over the others. Throws Failure for values that are not finite
    // and for a negative diagonal.
    Moments(const float * values, int64_t n_columns, bool blocks, float shrinkage, float damping);

    int64_t n_columns() const { return n_columns_; }
    bool blocks() const { return blocks_; }
    // Row `i` of H from the first column that it has: column 0, or of blocks the first of its block.
    const float * row(int64_t i) const { return values_ + i * stride(); }
    int64_t stride() const { return blocks_ ? WINDOW : n_columns_; }

    // H_lambda = kept() H + diag(added()).
    float kept() const { return kept_; }
    const float * added() const { return added_.data(); }

    // H_lambda of the `n` columns from `first`, a multiple of 256: [WINDOW][WINDOW], as far as it goes.
    void copy_window(int64_t first, int n, float * h) const;

private:
    const float * window_row(int64_t first, int i) const { return row(first + i) + (blocks_ ? 0 : first); }

    const float * values_;
    int64_t n_columns_;
    bool blocks_;
    float kept_;
    std::vector<float> added_;
};

// Whether all `n` values are finite.
bool all_finite(const float * values, int64_t n);

} // namespace edgeq::refine
