#include "types_matrices.h"

#include "failure.h"

#include "ggml-alloc.h"

namespace edgeq {

namespace {

ggml_context_ptr create_context(size_t n_bytes) {
    ggml_context_ptr context(ggml_init({n_bytes, nullptr, true}));
    if (!context) {
        throw Failure("memory", "not enough memory to describe the matrices");
    }
    return context;
}

} // namespace

Matrices::Matrices(const Device & device, ggml_backend_buffer_type_t memory, const Rows & rows,
                   const std::vector<float> & input, int32_t n_rows, int32_t n_matrices)
    : device_(device), rows_(rows) {
    place_weights(memory, n_rows, n_matrices);
    plan(input);
}

void Matrices::multiply() {
    forget_logged_error();
    if (ggml_backend_graph_compute(device_.backend(), graph_) != GGML_STATUS_SUCCESS) {
        throw Failure("decode", "can't multiply with " + rows_.name() + ": " + logged_error());
    }
}

double Matrices::largest_error() const {
    double largest = 0.0;
    for (size_t i = 0; i < products_.size(); ++i) {
        std::vector<float> product(ggml_nelements(products_[i]));
        ggml_backend_tensor_get(products_[i], product.data(), 0, ggml_nbytes(products_[i]));
        const double error = rows_.largest_error(product, static_cast<int32_t>(i) % Rows::COUNT);
        largest = error <= largest ? largest : error;
    }
    return largest;
}

void Matrices::place_weights(ggml_backend_buffer_type_t memory, int32_t n_rows, int32_t n_matrices) {
    weights_context_ = create_context(n_matrices * ggml_tensor_overhead());
    for (int32_t i = 0; i < n_matrices; ++i) {
        weights_.push_back(ggml_new_tensor_2d(weights_context_.get(), rows_.type(), rows_.n_columns(), n_rows));
    }
    weights_buffer_.reset(ggml_backend_alloc_ctx_tensors_from_buft(weights_context_.get(), memory));
    if (!weights_buffer_) {
        throw Failure("memory", "not enough memory for " + std::to_string(n_matrices) + " matrices of " + rows_.name());
    }
    ggml_backend_buffer_set_usage(weights_buffer_.get(), GGML_BACKEND_BUFFER_USAGE_WEIGHTS);
    // Each begins with another row: a product of the wrong matrix is wrong, too.
    for (int32_t i = 0; i < n_matrices; ++i) {
        const auto bytes = rows_.matrix(n_rows, i % Rows::COUNT);
        ggml_backend_tensor_set(weights_[i], bytes.data(), 0, bytes.size());
    }
}

void Matrices::plan(const std::vector<float> & input) {
    const size_t n = weights_.size();
    products_context_ = create_context((n + 1) * ggml_tensor_overhead() + ggml_graph_overhead_custom(2 * n + 1, false));
    ggml_tensor * vector = ggml_new_tensor_1d(products_context_.get(), GGML_TYPE_F32, rows_.n_columns());
    graph_ = ggml_new_graph_custom(products_context_.get(), 2 * n + 1, false);
    for (ggml_tensor * matrix : weights_) {
        products_.push_back(ggml_mul_mat(products_context_.get(), matrix, vector));
        ggml_set_output(products_.back());
        ggml_build_forward_expand(graph_, products_.back());
    }
    products_buffer_.reset(ggml_backend_alloc_ctx_tensors(products_context_.get(), device_.backend()));
    if (!products_buffer_) {
        throw Failure("memory", "not enough memory for the products with " + rows_.name());
    }
    ggml_backend_tensor_set(vector, input.data(), 0, ggml_nbytes(vector));
}

} // namespace edgeq
