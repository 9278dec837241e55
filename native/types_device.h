// Where products are computed, and in which kind of memory llama.cpp would keep their weights there.
#pragma once

#include "cpu_threads.h"

#include "ggml-backend.h"
#include "ggml-cpp.h"

#include <cstdint>
#include <memory>

namespace edgeq {

class Device {
public:
    // The first GPU, or the CPU with so many threads. Throws Failure "load" where there is none, or "memory".
    Device(bool on_gpu, int32_t n_threads);

    ggml_backend_t backend() const { return backend_.get(); }

    // The memory for weight matrices of this type: on the CPU the first that repacks them for its kernels, as
    // llama.cpp chooses it. Null where the device can't multiply with them.
    ggml_backend_buffer_type_t memory_for(ggml_type type, int32_t n_columns, int32_t n_rows) const;

private:
    bool can_multiply(ggml_backend_buffer_type_t memory, ggml_type type, int32_t n_columns, int32_t n_rows) const;

    ggml_backend_dev_t device_;
    std::unique_ptr<CpuThreads> threads_; // outlives the backend that uses them
    ggml_backend_ptr backend_;
};

} // namespace edgeq
