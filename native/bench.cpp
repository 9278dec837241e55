// edgeq-bench: the tests of llama-bench, with every phase and every decoded token stamped.
//
//   edgeq-bench --model M --events E --threads N --test P,G,D [--test ...] [--reps 5] [--batch 2048] [--ubatch 512]
//               [--gpu-layers 0] [--flash-attn auto] [--type-k f16] [--type-v f16]
//
// P prompt tokens, G generated tokens, depth D; one of P and G is 0. Shapes and parameters are llama-bench's, so that
// both report the same t/s; unlike it, the warm-up has the shape that is measured. Events are written between phases.
#include "args.h"
#include "clock.h"
#include "events.h"
#include "failure.h"
#include "memory.h"
#include "model.h"

#include "ggml-backend.h"
#include "ggml-cpu.h"
#include "llama-ext.h"

#include <algorithm>
#include <memory>
#include <random>

using namespace edgeq;

namespace {

constexpr int32_t MIN_WARMUP_DECODES = 32;

struct Test {
    int32_t n_prompt;
    int32_t n_gen;
    int32_t n_depth;

    // As llama-bench prints it: pp512, tg128, tg128@d4096.
    std::string name() const {
        const std::string base = n_prompt ? "pp" + std::to_string(n_prompt) : "tg" + std::to_string(n_gen);
        return n_depth ? base + "@d" + std::to_string(n_depth) : base;
    }
};

struct Settings {
    std::vector<Test> tests;
    int32_t n_reps;
    int32_t n_threads;
    llama_context_params context; // n_ctx is set per test
};

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

Settings parse_settings(const Args & args) {
    Settings settings{};
    for (const auto & text : args.all("test")) {
        settings.tests.push_back(parse_test(text));
    }
    if (settings.tests.empty()) {
        throw UsageError("option --test is missing");
    }
    settings.n_reps = args.integer("reps", 5, 1, INT32_MAX);
    settings.n_threads = args.integer("threads", 1);
    settings.context = llama_context_default_params();
    settings.context.n_batch = args.integer("batch", 2048, 1, INT32_MAX);
    settings.context.n_ubatch = args.integer("ubatch", 512, 1, INT32_MAX);
    settings.context.flash_attn_type = parse_flash_attn(args.get("flash-attn", "auto"));
    settings.context.type_k = parse_type(args.get("type-k", "f16"));
    settings.context.type_v = parse_type(args.get("type-v", "f16"));
    settings.context.swa_full = false;
    return settings;
}

// A phase under way: its times are kept and only written down by finish(), after the clock was read.
class Phase {
public:
    Phase(std::string kind, int rep) : kind_(std::move(kind)), rep_(rep), t0_ns_(now_ns()) {}

    void token_ready() { token_ns_.push_back(now_ns() - t0_ns_); }

    void finish(const Test * test, int32_t n_tokens) {
        const int64_t t1_ns = now_ns();
        Json event("phase");
        event.add("kind", kind_);
        test ? event.add("test", test->name()) : event.add_null("test");
        event.add("rep", rep_).add("n_tokens", n_tokens).add("t0_ns", t0_ns_).add("t1_ns", t1_ns);
        if (kind_ == "decode") {
            event.add("token_ns", token_ns_);
        }
        emit(event);
    }

    void reserve(int32_t n_tokens) { token_ns_.reserve(n_tokens); }

private:
    std::string kind_;
    int rep_;
    std::vector<int64_t> token_ns_;
    int64_t t0_ns_;
};

// ggml's thread pool through the CPU backend's registry, as the CPU backend may be a library loaded at run time.
class CpuThreads {
public:
    explicit CpuThreads(int32_t n_threads) {
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
    ~CpuThreads() { free_(pool_); }
    CpuThreads(const CpuThreads &) = delete;
    CpuThreads & operator=(const CpuThreads &) = delete;

    ggml_threadpool * get() const { return pool_; }

private:
    decltype(ggml_threadpool_free) * free_ = nullptr;
    ggml_threadpool * pool_ = nullptr;
};

class Runner {
public:
    Runner(llama_model * model, const Settings & settings, const Test & test)
        : vocab_(llama_model_get_vocab(model)), test_(test), n_batch_(settings.context.n_batch) {
        llama_context_params params = settings.context;
        params.n_ctx = test.n_prompt + test.n_gen + test.n_depth;
        threads_ = std::make_unique<CpuThreads>(settings.n_threads);
        context_ = create_context(model, params, "test " + test.name());
        llama_attach_threadpool(context_.get(), threads_->get(), nullptr);
        llama_set_n_threads(context_.get(), settings.n_threads, settings.n_threads);
    }

    void warm_up() {
        reach_depth(0);
        const int32_t n_gen = std::min(test_.n_gen, MIN_WARMUP_DECODES);
        const auto tokens = random_tokens(test_.n_prompt + n_gen);
        Phase phase("warmup", 0);
        work(tokens, phase);
        phase.finish(&test_, static_cast<int32_t>(tokens.size()));
    }

    void measure(int rep) {
        reach_depth(rep);
        const auto tokens = random_tokens(test_.n_prompt + test_.n_gen);
        Phase phase(test_.n_prompt ? "prefill" : "decode", rep);
        work(tokens, phase);
        phase.finish(&test_, static_cast<int32_t>(tokens.size()));
    }

    void emit_buffers() const {
        for (const auto & [type, bytes] : llama_get_memory_breakdown(context_.get())) {
            emit(Json("buffers")
                     .add("test", test_.name())
                     .add("device", ggml_backend_buft_name(type))
                     .add("model_bytes", static_cast<int64_t>(bytes.model))
                     .add("context_bytes", static_cast<int64_t>(bytes.context))
                     .add("compute_bytes", static_cast<int64_t>(bytes.compute)));
        }
    }

private:
    // BOS first where the vocabulary adds it, then ids from a fixed seed: the same in every run and on every machine.
    std::vector<llama_token> random_tokens(int32_t n) {
        std::vector<llama_token> tokens(n);
        for (auto & token : tokens) {
            token = static_cast<llama_token>(random_() % static_cast<uint32_t>(llama_vocab_n_tokens(vocab_)));
        }
        if (llama_vocab_get_add_bos(vocab_)) {
            tokens.front() = llama_vocab_bos(vocab_);
        }
        return tokens;
    }

    // One llama_decode for consecutive tokens after those in the KV cache; logits of the last one only.
    void decode_some(std::vector<llama_token> & tokens, int32_t start, int32_t n) {
        decode(context_.get(), {n, tokens.data() + start, nullptr, nullptr, nullptr, nullptr, nullptr});
    }

    void prefill(std::vector<llama_token> & tokens) {
        const auto n = static_cast<int32_t>(tokens.size());
        for (int32_t start = 0; start < n; start += n_batch_) {
            decode_some(tokens, start, std::min(n_batch_, n - start));
        }
    }

    void work(std::vector<llama_token> tokens, Phase & phase) {
        if (test_.n_prompt) {
            prefill(tokens);
            return;
        }
        phase.reserve(static_cast<int32_t>(tokens.size()));
        for (size_t i = 0; i < tokens.size(); ++i) {
            decode_some(tokens, static_cast<int32_t>(i), 1);
            phase.token_ready();
        }
    }

    // Empties the KV cache but for the first n_depth tokens, which are decoded where that can't be done: the first
    // time, in recurrent models, and where a sliding window has lost tokens.
    void reach_depth(int rep) {
        llama_memory_t memory = llama_get_memory(context_.get());
        if (test_.n_depth == 0) {
            llama_memory_clear(memory, false);
            return;
        }
        if (filled_ && llama_memory_seq_rm(memory, 0, test_.n_depth, -1) &&
            llama_memory_seq_pos_min(memory, 0) == oldest_position_ &&
            llama_memory_seq_pos_max(memory, 0) == test_.n_depth - 1) {
            return;
        }
        llama_memory_clear(memory, false);
        auto tokens = random_tokens(test_.n_depth);
        Phase phase("fill", rep);
        prefill(tokens);
        phase.finish(&test_, test_.n_depth);
        filled_ = true;
        oldest_position_ = llama_memory_seq_pos_min(memory, 0);
    }

    const llama_vocab * vocab_;
    const Test test_;
    const int32_t n_batch_;
    std::unique_ptr<CpuThreads> threads_; // freed after the context that uses them
    ContextPtr context_;
    std::mt19937 random_{42};
    bool filled_ = false;
    llama_pos oldest_position_ = 0;
};

void bench(const Args & args) {
    const std::string path = args.get("model");
    const int32_t n_gpu_layers = args.integer("gpu-layers", 0, -1, INT32_MAX);
    const Settings settings = parse_settings(args);
    init_backends();

    Phase load("load", 0);
    const ModelPtr model = load_model(path, n_gpu_layers);
    load.finish(nullptr, 0);
    emit(model_event(model.get()));
    emit(memory_event("load"));

    for (const Test & test : settings.tests) {
        Runner runner(model.get(), settings, test);
        runner.warm_up();
        for (int rep = 0; rep < settings.n_reps; ++rep) {
            runner.measure(rep);
        }
        runner.emit_buffers();
    }
    emit(memory_event("end"));
    emit(Json("done"));
}

} // namespace

int main(int argc, char ** argv) {
    return run_program("edgeq-bench", [&] {
        const Args args(argc, argv, {"model", "events", "threads", "batch", "ubatch", "gpu-layers", "flash-attn",
                                     "type-k", "type-v", "reps", "test"});
        open_events(args.get("events"));
        bench(args);
    });
}
