// Rows that are refined together, so that H is read once for all of them.
#pragma once

#include "refine/formats.h"
#include "refine/moments.h"
#include "refine/product.h"

#include <cstdint>
#include <vector>

namespace edgeq::refine {

// What became of some rows: their losses with H_lambda, summed, and how many of their codes are others.
struct Outcome {
    double before = 0;
    double after = 0;
    int64_t n_changed = 0;
};

// Up to GROUP rows and their gradients: the memory of one thread.
class Group {
public:
    Group(const Moments & moments, ggml_type type);

    // Takes `n_rows` rows, of any type, and computes their residuals w - w' and gradients.
    void load(const float * source, uint8_t * blocks, int n_rows);

    // The loss of each row, r H_lambda r', summed.
    double loss() const;

    // Refines the blocks of these rows where they lie. A round is a sweep of scales and codes, and one of codes.
    // A row is done after `n_rounds`, or when a round changes fewer than 0.1 % of its codes.
    Outcome refine(const Format & format, int n_rounds);

private:
    // Refines scales (or not) and codes of each window; adds to `n_changed` of each row the codes that were changed.
    void sweep(const Format & format, bool scales, int64_t * n_changed);
    // Refines one window and leaves in `change_` what became of its residuals.
    void refine_window(const Format & format, int64_t first, bool scales, int64_t * n_changed);

    const Moments & moments_;
    ggml_type type_;
    int64_t n_columns_;
    size_t row_bytes_;
    const float * source_ = nullptr;
    uint8_t * blocks_ = nullptr;
    int n_rows_ = 0;
    std::vector<float> residual_; // [GROUP][n_columns], rows that are not there are 0
    std::vector<float> gradient_; // residual H_lambda
    std::vector<float> change_;   // [GROUP][WINDOW]
    std::vector<float> window_;   // H_lambda, [WINDOW][WINDOW]
    std::vector<uint8_t> at_first_; // the blocks as they were
    bool active_[GROUP] = {};
};

} // namespace edgeq::refine
