#include "refine/product.h"

#include "vectors.h"

namespace edgeq::refine {

namespace {

// A tile of sums stays in registers: 8 x 2 vectors where there are 32 of them, else 4 x 2.
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int TILE_ROWS = 8;
#else
constexpr int TILE_ROWS = 4;
#endif
constexpr int TILE_COLUMNS = 2 * LANES;
// Rows of `right` that are read side by side: few enough for the processor's prefetching.
constexpr int DEPTH = 32;

// The terms of some rows that are not 0 for all of them. What is left out would add 0.
struct Terms {
    int n = 0;
    int index[MAX_TERMS];
    float left[MAX_TERMS][TILE_ROWS];
};

void take_terms(Rows left, int n, Terms & terms) {
    terms.n = 0;
    for (int i = 0; i < n; ++i) {
        bool any = false;
        for (int r = 0; r < TILE_ROWS; ++r) {
            const float value = left.row(r)[i];
            terms.left[terms.n][r] = value;
            any = any || value != 0;
        }
        terms.index[terms.n] = i;
        terms.n += any ? 1 : 0;
    }
}

void add_tile(Rows sums, const Terms & terms, int first, int last, const float * right, int64_t right_stride) {
    Vector tile[TILE_ROWS][2] = {};
    for (int t = first; t < last; ++t) {
        const Vector * vectors = reinterpret_cast<const Vector *>(right + terms.index[t] * right_stride);
        const Vector a = vectors[0];
        const Vector b = vectors[1];
#pragma GCC unroll 8
        for (int r = 0; r < TILE_ROWS; ++r) {
            tile[r][0] += terms.left[t][r] * a;
            tile[r][1] += terms.left[t][r] * b;
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < TILE_ROWS; ++r) {
        Vector * vectors = reinterpret_cast<Vector *>(sums.row(r));
        vectors[0] += tile[r][0];
        vectors[1] += tile[r][1];
    }
}

// What does not fill a tile: only types without blocks have such rows.
void add_column(Rows sums, const Terms & terms, const float * right, int64_t right_stride) {
    for (int r = 0; r < TILE_ROWS; ++r) {
        float sum = 0;
        for (int t = 0; t < terms.n; ++t) {
            sum += terms.left[t][r] * right[terms.index[t] * right_stride];
        }
        sums.row(r)[0] += sum;
    }
}

} // namespace

void add_products(Rows sums, Rows left, int n, const float * right, int64_t right_stride, int64_t n_columns) {
    constexpr int N_TILES = GROUP / TILE_ROWS;
    Terms terms[N_TILES];
    for (int i = 0; i < N_TILES; ++i) {
        take_terms({left.row(i * TILE_ROWS), left.stride}, n, terms[i]);
    }
    const int64_t tiled = n_columns / TILE_COLUMNS * TILE_COLUMNS;
    int done[N_TILES] = {};
    for (int depth = DEPTH; depth < n + DEPTH; depth += DEPTH) {
        int until[N_TILES];
        for (int i = 0; i < N_TILES; ++i) {
            until[i] = done[i];
            while (until[i] < terms[i].n && terms[i].index[until[i]] < depth) {
                ++until[i];
            }
        }
        for (int64_t c = 0; c < tiled; c += TILE_COLUMNS) {
            for (int i = 0; i < N_TILES; ++i) {
                if (until[i] > done[i]) {
                    const Rows part{sums.row(i * TILE_ROWS) + c, sums.stride};
                    add_tile(part, terms[i], done[i], until[i], right + c, right_stride);
                }
            }
        }
        for (int i = 0; i < N_TILES; ++i) {
            done[i] = until[i];
        }
    }
    for (int64_t c = tiled; c < n_columns; ++c) {
        for (int i = 0; i < N_TILES; ++i) {
            add_column({sums.row(i * TILE_ROWS) + c, sums.stride}, terms[i], right + c, right_stride);
        }
    }
}

} // namespace edgeq::refine
