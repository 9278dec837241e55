#include "weights.h"

#include "failure.h"

#include "ggml-backend.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

namespace edgeq {

namespace {

struct CloseFile {
    void operator()(FILE * file) const { std::fclose(file); }
};

std::vector<uint8_t> read_piece(const std::string & path, int64_t offset, size_t size) {
    const std::unique_ptr<FILE, CloseFile> file(std::fopen(path.c_str(), "rb"));
    if (!file) {
        throw Failure("input", "can't read " + path + ": " + std::strerror(errno));
    }
    std::vector<uint8_t> bytes(size);
    if (std::fseek(file.get(), static_cast<long>(offset), SEEK_SET) != 0 ||
        std::fread(bytes.data(), 1, size, file.get()) != size) {
        throw Failure("input", path + " has no " + std::to_string(size) + " bytes at " + std::to_string(offset));
    }
    return bytes;
}

// One row of `n` values from one type to another, over float.
void convert_row(const uint8_t * from, ggml_type from_type, uint8_t * to, ggml_type to_type, int64_t n) {
    std::vector<float> values(n);
    if (from_type == GGML_TYPE_F32) {
        std::memcpy(values.data(), from, n * sizeof(float));
    } else {
        ggml_get_type_traits(from_type)->to_float(from, values.data(), n);
    }
    if (to_type == GGML_TYPE_F32) {
        std::memcpy(to, values.data(), n * sizeof(float));
    } else if (to_type == GGML_TYPE_BF16) {
        ggml_fp32_to_bf16_row(values.data(), reinterpret_cast<ggml_bf16_t *>(to), n);
    } else {
        ggml_fp32_to_fp16_row(values.data(), reinterpret_cast<ggml_fp16_t *>(to), n);
    }
}

bool is_float(ggml_type type) {
    return type == GGML_TYPE_F32 || type == GGML_TYPE_F16 || type == GGML_TYPE_BF16;
}

} // namespace

void Weights::learn(const ggml_tensor * node) {
    for (ggml_tensor * source : node->src) {
        // "CUDA0#blk.0.attn_k.weight#0" is a copy that the scheduler makes anew for each graph.
        if (source != nullptr && source->buffer != nullptr && std::strchr(source->name, '#') == nullptr &&
            ggml_backend_buffer_get_usage(source->buffer) == GGML_BACKEND_BUFFER_USAGE_WEIGHTS) {
            weights_[source->name] = source;
        }
    }
}

ggml_tensor * Weights::find(const std::string & weight) const {
    const auto found = weights_.find(weight);
    if (found == weights_.end()) {
        throw Failure("input", "the model computes with no weight " + weight);
    }
    if (!is_float(found->second->type)) {
        throw Failure("input", weight + " is quantized already: other values can't be put in its place");
    }
    return found->second;
}

void Weights::put(const Swap & swap, ThreadPool & pool) {
    ggml_tensor * tensor = find(swap.weight);
    const int64_t n = tensor->ne[0];
    const auto n_rows = static_cast<int>(ggml_nrows(tensor));
    if (n % ggml_blck_size(swap.type) != 0) {
        throw Failure("input", swap.weight + " has rows of " + std::to_string(n) + " values: no whole blocks of " +
                                   ggml_type_name(swap.type));
    }
    const size_t from_bytes = ggml_row_size(swap.type, n);
    std::vector<uint8_t> bytes = read_piece(swap.path, swap.offset, from_bytes * n_rows);
    if (swap.type != tensor->type) {
        const size_t to_bytes = ggml_row_size(tensor->type, n);
        std::vector<uint8_t> converted(to_bytes * n_rows);
        pool.run(n_rows, [&](int row) {
            convert_row(bytes.data() + row * from_bytes, swap.type, converted.data() + row * to_bytes, tensor->type, n);
        });
        bytes = std::move(converted);
    }
    ggml_backend_tensor_set(tensor, bytes.data(), 0, bytes.size());
}

std::vector<uint8_t> Weights::bytes(const std::string & weight) const {
    const ggml_tensor * tensor = find(weight);
    std::vector<uint8_t> bytes(ggml_nbytes(tensor));
    ggml_backend_tensor_get(tensor, bytes.data(), 0, bytes.size());
    return bytes;
}

void Weights::put_back(const std::string & weight, const std::vector<uint8_t> & bytes) {
    ggml_backend_tensor_set(find(weight), bytes.data(), 0, bytes.size());
}

} // namespace edgeq
