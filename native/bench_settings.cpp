#include "bench_settings.h"

#include "model.h"

namespace edgeq {

namespace {

Test parse_test(const std::string & text) {
    const size_t first = text.find(',');
    const size_t second = first == std::string::npos ? first : text.find(',', first + 1);
    if (second == std::string::npos) {
        throw UsageError("--test must be P,G,D, not '" + text + "'");
    }
    const Test test{parse_integer(text.substr(0, first), "P of --test", 0, 1 << 24),
                    parse_integer(text.substr(first + 1, second - first - 1), "G of --test", 0, 1 << 24),
                    parse_integer(text.substr(second + 1), "D of --test", 0, 1 << 24)};
    if ((test.n_prompt == 0) == (test.n_gen == 0)) {
        throw UsageError("exactly one of P and G of --test must be 0, which is not so in '" + text + "'");
    }
    return test;
}

llama_context_params parse_context(const Args & args) {
    llama_context_params context = llama_context_default_params();
    context.n_batch = args.integer("batch", 2048, 1, INT32_MAX);
    context.n_ubatch = args.integer("ubatch", 512, 1, INT32_MAX);
    context.flash_attn_type = parse_flash_attn(args.get("flash-attn", "auto"));
    context.type_k = parse_type(args.get("type-k", "f16"));
    context.type_v = parse_type(args.get("type-v", "f16"));
    context.swa_full = false;
    return context;
}

} // namespace

const std::vector<std::string> SETTINGS_OPTIONS = {
    "model",      "adapter", "gpu-layers", "threads", "test", "reps",       "batch", "ubatch",
    "flash-attn", "type-k",  "type-v",     "idle",    "min-window", "sync",
};

std::string Test::name() const {
    const std::string base = n_prompt ? "pp" + std::to_string(n_prompt) : "tg" + std::to_string(n_gen);
    return n_depth ? base + "@d" + std::to_string(n_depth) : base;
}

Settings parse_settings(const Args & args) {
    Settings settings{};
    settings.model_path = args.get("model");
    settings.adapter_path = args.get("adapter", "");
    settings.n_gpu_layers = args.integer("gpu-layers", 0, -1, INT32_MAX);
    settings.n_threads = args.integer("threads", 1);
    for (const auto & text : args.all("test")) {
        settings.tests.push_back(parse_test(text));
    }
    if (settings.tests.empty()) {
        throw UsageError("option --test is missing");
    }
    settings.context = parse_context(args);
    settings.n_reps = args.integer("reps", 5, 1, INT32_MAX);
    settings.min_window_s = args.seconds("min-window");
    settings.idle_s = args.seconds("idle");
    settings.sync_s = args.seconds("sync");
    return settings;
}

} // namespace edgeq
