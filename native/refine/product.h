// The one large sum of refining: rows of residuals times rows of H.
#pragma once

#include <cstdint>

namespace edgeq::refine {

// Rows that are refined together, so that H is read from memory once for all of them. Where H is larger
// than the caches 32 take a quarter less time than 16.
constexpr int GROUP = 32;
constexpr int MAX_TERMS = 256;

// A matrix inside another one: `stride` floats from one row to the next.
struct Rows {
    float * data;
    int64_t stride;
    float * row(int64_t i) const { return data + i * stride; }
};

// sums[r][c] += sum over i of left[r][i] * right[i * right_stride + c], for r < GROUP, c < n_columns, i < n <= MAX_TERMS.
// A row's sums do not depend on what the other rows hold.
void add_products(Rows sums, Rows left, int n, const float * right, int64_t right_stride, int64_t n_columns);

} // namespace edgeq::refine
