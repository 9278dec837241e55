// What a run of edgeq-bench measures, from its command line.
#pragma once

#include "args.h"

#include "llama.h"

#include <cstdint>
#include <string>
#include <vector>

namespace edgeq {

struct Test {
    int32_t n_prompt; // one of n_prompt and n_gen is 0
    int32_t n_gen;
    int32_t n_depth;

    // As llama-bench prints it: pp512, tg128, tg128@d4096.
    std::string name() const;
};

struct Settings {
    std::string model_path;
    std::string adapter_path; // "" for none
    int32_t n_gpu_layers;
    int32_t n_threads;
    std::vector<Test> tests;
    llama_context_params context; // n_ctx is set per test
    int32_t n_reps;
    double min_window_s; // a test is repeated until its repetitions add up to this
    double idle_s;       // length of each idle phase, 0 for none
    double sync_s;       // unit of the load bursts' lengths, 0 for none
};

// All options but --events, which is opened first. Throws UsageError.
extern const std::vector<std::string> SETTINGS_OPTIONS;
Settings parse_settings(const Args & args);

} // namespace edgeq
