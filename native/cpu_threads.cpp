#include "cpu_threads.h"

#include "failure.h"

#include "ggml-backend.h"

#include <string>

namespace edgeq {

CpuThreads::CpuThreads(int32_t n_threads) {
    ggml_backend_dev_t device = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
    if (device == nullptr) {
        throw Failure("load", "llama.cpp has no CPU backend");
    }
    ggml_backend_reg_t registry = ggml_backend_dev_backend_reg(device);
    const auto create = reinterpret_cast<decltype(ggml_threadpool_new) *>(
        ggml_backend_reg_get_proc_address(registry, "ggml_threadpool_new"));
    free_ = reinterpret_cast<decltype(ggml_threadpool_free) *>(
        ggml_backend_reg_get_proc_address(registry, "ggml_threadpool_free"));
    ggml_threadpool_params params = ggml_threadpool_params_default(n_threads);
    pool_ = create != nullptr && free_ != nullptr ? create(&params) : nullptr;
    if (pool_ == nullptr) {
        throw Failure("memory", "can't create a thread pool of " + std::to_string(n_threads) + " threads");
    }
}

} // namespace edgeq
