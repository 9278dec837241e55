#include "types_device.h"

#include "failure.h"

namespace edgeq {

namespace {

// llama.cpp asks with a batch of this many tokens, and keeps the answer for decoding one.
constexpr int64_t ASKED_TOKENS = 512;

ggml_backend_dev_t find_device(bool on_gpu) {
    ggml_backend_dev_t device = ggml_backend_dev_by_type(on_gpu ? GGML_BACKEND_DEVICE_TYPE_GPU
                                                                : GGML_BACKEND_DEVICE_TYPE_CPU);
    if (device == nullptr && on_gpu) {
        device = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_IGPU);
    }
    if (device == nullptr) {
        throw Failure("load", on_gpu ? "llama.cpp sees no GPU" : "llama.cpp has no CPU backend");
    }
    return device;
}

template <typename Function> Function * function_of(ggml_backend_dev_t device, const char * name) {
    return reinterpret_cast<Function *>(ggml_backend_reg_get_proc_address(ggml_backend_dev_backend_reg(device), name));
}

} // namespace

Device::Device(bool on_gpu, int32_t n_threads)
    : device_(find_device(on_gpu)), backend_(ggml_backend_dev_init(device_, nullptr)) {
    if (!backend_) {
        throw Failure("load", std::string("can't use ") + ggml_backend_dev_description(device_));
    }
    if (on_gpu) {
        return;
    }
    threads_ = std::make_unique<CpuThreads>(n_threads);
    const auto set_pool =
        function_of<decltype(ggml_backend_cpu_set_threadpool)>(device_, "ggml_backend_cpu_set_threadpool");
    const auto set_n_threads =
        function_of<decltype(ggml_backend_cpu_set_n_threads)>(device_, "ggml_backend_set_n_threads");
    if (set_pool == nullptr || set_n_threads == nullptr) {
        throw Failure("load", "the CPU backend can't be told how many threads to use");
    }
    set_pool(backend_.get(), threads_->get());
    set_n_threads(backend_.get(), n_threads);
}

ggml_backend_buffer_type_t Device::memory_for(ggml_type type, int32_t n_columns, int32_t n_rows) const {
    if (threads_) {
        const auto get = function_of<ggml_backend_buffer_type_t *(ggml_backend_dev_t)>(
            device_, "ggml_backend_dev_get_extra_bufts");
        for (ggml_backend_buffer_type_t * extra = get ? get(device_) : nullptr; extra && *extra; ++extra) {
            if (can_multiply(*extra, type, n_columns, n_rows)) {
                return *extra;
            }
        }
    }
    ggml_backend_buffer_type_t plain = ggml_backend_dev_buffer_type(device_);
    return can_multiply(plain, type, n_columns, n_rows) ? plain : nullptr;
}

bool Device::can_multiply(ggml_backend_buffer_type_t memory, ggml_type type, int32_t n_columns,
                          int32_t n_rows) const {
    const ggml_context_ptr context(ggml_init({4 * ggml_tensor_overhead(), nullptr, true}));
    ggml_tensor * weights = ggml_new_tensor_2d(context.get(), type, n_columns, n_rows);
    ggml_tensor * input = ggml_new_tensor_2d(context.get(), GGML_TYPE_F32, n_columns, ASKED_TOKENS);
    ggml_tensor * product = ggml_mul_mat(context.get(), weights, input);
    // The answer depends on the memory, of which none is needed yet.
    const ggml_backend_buffer_ptr nothing(ggml_backend_buft_alloc_buffer(memory, 0));
    weights->buffer = nothing.get();
    return ggml_backend_dev_supports_op(device_, product);
}

} // namespace edgeq
