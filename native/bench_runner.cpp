#include "bench_runner.h"

#include "adapter.h"
#include "events.h"

#include "ggml-backend.h"
#include "llama-ext.h"

#include <algorithm>

namespace edgeq {

namespace {

constexpr int32_t WARMUP_DECODES = 32;

} // namespace

Runner::Runner(llama_model * model, llama_adapter_lora * adapter, const Settings & settings, const Test & test)
    : vocab_(llama_model_get_vocab(model)), test_(test), n_batch_(settings.context.n_batch),
      threads_(settings.n_threads) {
    llama_context_params params = settings.context;
    params.n_ctx = test.n_prompt + test.n_gen + test.n_depth;
    context_ = create_context(model, params, "test " + test.name());
    use_adapter(context_.get(), adapter);
    llama_attach_threadpool(context_.get(), threads_.get(), nullptr);
    llama_set_n_threads(context_.get(), settings.n_threads, settings.n_threads);
}

int64_t Runner::warm_up(int rep) {
    return run("warmup", rep, test_.n_prompt ? test_.n_prompt : std::min(test_.n_gen, WARMUP_DECODES));
}

int64_t Runner::measure(int rep) {
    return run(test_.n_prompt ? "prefill" : "decode", rep, test_.n_prompt + test_.n_gen);
}

void Runner::emit_buffers() const {
    for (const auto & [type, bytes] : llama_get_memory_breakdown(context_.get())) {
        emit(Json("buffers")
                 .add("test", test_.name())
                 .add("device", ggml_backend_buft_name(type))
                 .add("model_bytes", static_cast<int64_t>(bytes.model))
                 .add("context_bytes", static_cast<int64_t>(bytes.context))
                 .add("compute_bytes", static_cast<int64_t>(bytes.compute)));
    }
}

int64_t Runner::run(const char * kind, int rep, int32_t n_tokens) {
    reach_depth(rep);
    auto tokens = random_tokens(n_tokens);
    Phase phase(kind, rep);
    work(tokens, phase);
    return phase.finish(test_.name(), n_tokens);
}

void Runner::work(std::vector<llama_token> & tokens, Phase & phase) {
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

void Runner::prefill(std::vector<llama_token> & tokens) {
    const auto n = static_cast<int32_t>(tokens.size());
    for (int32_t start = 0; start < n; start += n_batch_) {
        decode_some(tokens, start, std::min(n_batch_, n - start));
    }
}

// One llama_decode for consecutive tokens after those in the KV cache; logits of the last one only.
void Runner::decode_some(std::vector<llama_token> & tokens, int32_t start, int32_t n) {
    decode(context_.get(), {n, tokens.data() + start, nullptr, nullptr, nullptr, nullptr, nullptr});
}

// Empties the KV cache but for the first n_depth tokens, which are decoded where that can't be done: the first
// time, in recurrent models, and where a sliding window has lost tokens.
void Runner::reach_depth(int rep) {
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
    phase.finish(test_.name(), test_.n_depth);
    filled_ = true;
    oldest_position_ = llama_memory_seq_pos_min(memory, 0);
}

// BOS first where the vocabulary adds it, then ids from a fixed seed: the same in every run and on every machine.
std::vector<llama_token> Runner::random_tokens(int32_t n) {
    std::vector<llama_token> tokens(n);
    for (auto & token : tokens) {
        token = static_cast<llama_token>(random_() % static_cast<uint32_t>(llama_vocab_n_tokens(vocab_)));
    }
    if (llama_vocab_get_add_bos(vocab_)) {
        tokens.front() = llama_vocab_bos(vocab_);
    }
    return tokens;
}

} // namespace edgeq
