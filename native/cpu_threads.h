// ggml's threads for the CPU backend.
#pragma once

#include "ggml-cpu.h"

#include <cstdint>

namespace edgeq {

// A pool through the CPU backend's registry, as that backend may be a library loaded at run time.
class CpuThreads {
public:
    // Throws Failure "load" or "memory".
    explicit CpuThreads(int32_t n_threads);
    ~CpuThreads() { free_(pool_); }
    CpuThreads(const CpuThreads &) = delete;
    CpuThreads & operator=(const CpuThreads &) = delete;

    ggml_threadpool * get() const { return pool_; }

private:
    decltype(ggml_threadpool_free) * free_ = nullptr;
    ggml_threadpool * pool_ = nullptr;
};

} // namespace edgeq
