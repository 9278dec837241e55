// The library edgeq-refine: better blocks for a matrix of weights W, of the same type and as many bytes.
//
// The loss of a matrix W' is tr((W - W') H (W - W')'): the squared error of its outputs over inputs with the second moments
// H. Llama.cpp's encoders see only the diagonal of H; coordinate descent begins with what they made. Rows are
// independent of each other, and the results are the same to the last bit for any number of threads.
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct edgeq_refine_job {
    int32_t type;          // ggml_type of the blocks
    int32_t moments_form;  // EDGEQ_REFINE_FULL or EDGEQ_REFINE_BLOCKS
    int64_t n_rows;
    int64_t n_columns;
    const float * source;  // W, [n_rows][n_columns]
    uint8_t * blocks;      // W', as in a GGUF file; refined in place
    const float * moments; // H, symmetric: [n_columns][n_columns], or the blocks of its diagonal [n_columns/256][256][256]
    float shrinkage;       // lambda: H_lambda = (1 - lambda) H + lambda diag(H) + damping mean(diag H) I; inputs that were
    float damping;         // always 0 are neither damped nor part of the mean
    int32_t n_rounds;      // each: scales and minimums once, codes twice. 0 only computes the loss
    int32_t n_threads;
    // Results
    double before;         // the loss with H_lambda
    double after;
    int64_t n_changed;     // codes
} edgeq_refine_job;

enum { EDGEQ_REFINE_FULL = 0, EDGEQ_REFINE_BLOCKS = 1 };

// 0: done. Anything else: nothing was changed, and `message` says why.
enum { EDGEQ_REFINE_DONE = 0, EDGEQ_REFINE_INPUT = 1, EDGEQ_REFINE_MEMORY = 2 };

// Refines the blocks of a job.
int32_t edgeq_refine(edgeq_refine_job * job, char * message, size_t message_bytes);

// The loss of blocks of any type with H itself: no lambda, no damping. Changes `after` alone.
int32_t edgeq_refine_loss(edgeq_refine_job * job, char * message, size_t message_bytes);

// Whether edgeq_refine knows the type.
int32_t edgeq_refine_has_type(int32_t type);

#ifdef __cplusplus
}
#endif
