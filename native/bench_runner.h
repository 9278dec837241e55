// One test: its context, its threads, and the work that is timed.
#pragma once

#include "bench_phase.h"
#include "bench_settings.h"
#include "cpu_threads.h"
#include "model.h"

#include <cstdint>
#include <random>
#include <vector>

namespace edgeq {

class Runner {
public:
    // adapter: one of the model's, or nullptr.
    Runner(llama_model * model, llama_adapter_lora * adapter, const Settings & settings, const Test & test);

    // One phase each, of the test's own shape; a warm-up decodes at most 32 tokens. Return nanoseconds.
    int64_t warm_up(int rep);
    int64_t measure(int rep);

    // {"event":"buffers","test","device","model_bytes","context_bytes","compute_bytes"} per kind of memory
    void emit_buffers() const;

private:
    int64_t run(const char * kind, int rep, int32_t n_tokens);
    void work(std::vector<llama_token> & tokens, Phase & phase);
    void prefill(std::vector<llama_token> & tokens);
    void decode_some(std::vector<llama_token> & tokens, int32_t start, int32_t n);
    void reach_depth(int rep);
    std::vector<llama_token> random_tokens(int32_t n);

    const llama_vocab * vocab_;
    const Test test_;
    const int32_t n_batch_;
    CpuThreads threads_; // freed after the context that uses them
    ContextPtr context_;
    std::mt19937 random_{42};
    bool filled_ = false;
    llama_pos oldest_position_ = 0;
};

} // namespace edgeq
