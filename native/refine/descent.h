// Coordinate descent on the loss of one row of weights, r H_lambda r' with r = w - w', within a window of its columns.
#pragma once

#include "refine/formats.h"
#include "refine/moments.h"

#include <cstdint>

namespace edgeq::refine {

// One row in one window: whole blocks, and what follows from them. A step is taken only where the loss falls.
class Descent {
public:
    // `h`: H_lambda of the window, [WINDOW][WINDOW], of which the first `n` columns are there. `residual` and `gradient`
    // (r H_lambda), both of the window, are kept up to date. The gradient outside of it is the caller's business.
    Descent(const Format & format, const float * h, int n, const float * source, uint8_t * blocks, float * residual,
            float * gradient);

    // Scales and minimums of the sub-blocks, then d and dmin, of each block.
    void refine_scales();
    // Returns how many codes were changed.
    int refine_codes();
    // Packs the blocks again.
    void store();

private:
    // A change of columns in proportion to `direction`, and what that does to the gradient of these columns.
    struct Line {
        int begin;
        int n;
        float direction[WINDOW];
        float image[WINDOW]; // direction H_lambda
    };

    void refine_scale(int block, int sub);
    void refine_minimum(int block, int sub);
    void refine_d(int block);
    void refine_dmin(int block);

    // How far to go along a line for the smallest loss; 0 where it makes no difference. Computes the image.
    float best_step(Line & line) const;
    // Brings everything up to date after the block's fields have changed by `step` along the line.
    void follow(int block, const Line & line, float step);

    const Format & format_;
    const float * h_;
    int n_;
    const float * source_;
    uint8_t * blocks_;
    float * residual_;
    float * gradient_;
    Fields fields_[WINDOW / 32];
    float values_[WINDOW];
};

} // namespace edgeq::refine
