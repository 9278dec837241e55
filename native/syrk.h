// Sums of x xᵀ over rows of activations (BLAS's syrk), of whole matrices or of blocks on their diagonal.
#pragma once

#include "pool.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace edgeq {

// Rows of float32 that begin `stride` bytes apart.
struct Rows {
    const char * data;
    size_t stride;
    int64_t n;
};

// What is summed: [n_columns / width][width][width], row-major. A width of n_columns is the whole matrix.
struct Gram {
    int64_t n_columns = 0;
    int64_t width = 0;

    int64_t n_blocks() const { return n_columns / width; }
    int64_t n_values() const { return n_columns * width; }
    int64_t n_bytes() const { return n_values() * static_cast<int64_t>(sizeof(float)); }
};

// Adds in an order that depends on the rows alone, so that any number of threads gives the same values.
class Syrk {
public:
    explicit Syrk(int n_threads) : pool_(n_threads) {}

    // sums += weight * Σ x xᵀ. Only what lies on and above the diagonal of a block is sure to be there.
    void add(const Gram & gram, const Rows & rows, float weight, float * sums);

    // Scales what is there and copies it below the diagonals.
    void finish(const Gram & gram, float scale, float * sums);

private:
    void pack(const Gram & gram, const Rows & rows);

    ThreadPool pool_;
    std::vector<float> panels_; // [n_blocks * panels of a block][rows.n][PANEL], with zeros after a block's last column
};

} // namespace edgeq
