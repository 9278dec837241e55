// The matrices of one type on the device, and one pass over them.
#pragma once

#include "types_device.h"
#include "types_rows.h"

#include <cstdint>
#include <vector>

namespace edgeq {

class Matrices {
public:
    // Throws Failure "memory".
    Matrices(const Device & device, ggml_backend_buffer_type_t memory, const Rows & rows,
             const std::vector<float> & input, int32_t n_rows, int32_t n_matrices);

    // Multiplies the input with every matrix, one after the other. Throws Failure "decode".
    void multiply();

    // The largest error of all products, as Rows tells it.
    double largest_error() const;

private:
    void place_weights(ggml_backend_buffer_type_t memory, int32_t n_rows, int32_t n_matrices);
    void plan(const std::vector<float> & input);

    const Device & device_;
    const Rows & rows_;
    ggml_context_ptr weights_context_;
    ggml_context_ptr products_context_;
    ggml_backend_buffer_ptr weights_buffer_;
    ggml_backend_buffer_ptr products_buffer_;
    std::vector<ggml_tensor *> weights_;
    std::vector<ggml_tensor *> products_;
    ggml_cgraph * graph_ = nullptr;
};

} // namespace edgeq
