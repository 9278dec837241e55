#include "syrk.h"

#include "vectors.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace edgeq {

namespace {

constexpr int64_t PANEL = 2 * LANES; // columns that are packed together
constexpr int64_t TILE_ROWS = 4;     // with two vectors each: eight sums, as many as hide the latency of adding
constexpr int64_t STEP = 128;        // rows of two panels that fit into a first-level cache

int64_t panels_of_block(const Gram & gram) { return (gram.width + PANEL - 1) / PANEL; }

// tile[TILE_ROWS][PANEL] += Σ over n rows of a[0..TILE_ROWS) times b[0..PANEL)
void multiply(const float * a, const float * b, int64_t n, float * tile) {
    Vector sums[TILE_ROWS][2] = {};
    for (int64_t row = 0; row < n; ++row, a += PANEL, b += PANEL) {
        Vector low, high;
        std::memcpy(&low, b, sizeof(low));
        std::memcpy(&high, b + LANES, sizeof(high));
        for (int64_t i = 0; i < TILE_ROWS; ++i) {
            sums[i][0] += a[i] * low;
            sums[i][1] += a[i] * high;
        }
    }
    for (int64_t i = 0; i < TILE_ROWS; ++i) {
        for (int64_t j = 0; j < PANEL; ++j) {
            tile[i * PANEL + j] += sums[i][j / LANES][j % LANES];
        }
    }
}

} // namespace

void Syrk::pack(const Gram & gram, const Rows & rows) {
    const int64_t per_block = panels_of_block(gram);
    const int64_t n_panels = gram.n_blocks() * per_block;
    panels_.resize(n_panels * rows.n * PANEL);
    pool_.run(static_cast<int>(n_panels), [&](int panel) {
        const int64_t first = panel % per_block * PANEL;
        const int64_t n = std::min(PANEL, gram.width - first);
        const int64_t column = panel / per_block * gram.width + first;
        float * to = panels_.data() + panel * rows.n * PANEL;
        for (int64_t row = 0; row < rows.n; ++row, to += PANEL) {
            const char * from = rows.data + row * rows.stride + column * sizeof(float);
            std::memcpy(to, from, n * sizeof(float));
            std::fill(to + n, to + PANEL, 0.0f);
        }
    });
}

void Syrk::add(const Gram & gram, const Rows & rows, float weight, float * sums) {
    pack(gram, rows);
    const int64_t per_block = panels_of_block(gram);
    std::vector<std::pair<int64_t, int64_t>> tiles;
    for (int64_t i = 0; i < per_block; ++i) {
        for (int64_t j = i; j < per_block; ++j) {
            tiles.emplace_back(i, j);
        }
    }
    const auto per_matrix = static_cast<int64_t>(tiles.size());
    pool_.run(static_cast<int>(gram.n_blocks() * per_matrix), [&](int task) {
        const int64_t block = task / per_matrix;
        const auto [left, right] = tiles[task % per_matrix];
        const float * a = panels_.data() + (block * per_block + left) * rows.n * PANEL;
        const float * b = panels_.data() + (block * per_block + right) * rows.n * PANEL;
        float tile[PANEL * PANEL] = {};
        for (int64_t first = 0; first < rows.n; first += STEP) {
            const int64_t n = std::min(STEP, rows.n - first);
            for (int64_t i = 0; i < PANEL; i += TILE_ROWS) {
                multiply(a + first * PANEL + i, b + first * PANEL, n, tile + i * PANEL);
            }
        }
        const int64_t n_rows = std::min(PANEL, gram.width - left * PANEL);
        const int64_t n_columns = std::min(PANEL, gram.width - right * PANEL);
        float * to = sums + (block * gram.width + left * PANEL) * gram.width + right * PANEL;
        for (int64_t i = 0; i < n_rows; ++i, to += gram.width) {
            for (int64_t j = 0; j < n_columns; ++j) {
                to[j] += weight * tile[i * PANEL + j];
            }
        }
    });
}

void Syrk::finish(const Gram & gram, float scale, float * sums) {
    const int64_t width = gram.width;
    pool_.run(static_cast<int>(gram.n_columns), [&](int row) {
        float * block = sums + row / width * width * width;
        const int64_t i = row % width;
        for (int64_t j = i; j < width; ++j) {
            block[i * width + j] *= scale;
            block[j * width + i] = block[i * width + j];
        }
    });
}

} // namespace edgeq
