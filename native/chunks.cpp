#include "chunks.h"

#include "failure.h"
#include "files.h"
#include "model.h"

namespace edgeq {

Chunks read_chunks(const std::string & path, int32_t n_ctx) {
    Chunks chunks;
    chunks.n_ctx = n_ctx;
    chunks.tokens = read_integers(path);
    if (chunks.tokens.empty()) {
        throw Failure("input", path + " has no tokens");
    }
    if (chunks.tokens.size() % static_cast<size_t>(n_ctx) != 0) {
        throw Failure("input", path + " has " + std::to_string(chunks.tokens.size()) +
                                   " token ids, which is not a whole number of chunks of " + std::to_string(n_ctx));
    }
    return chunks;
}

void check_vocabulary(const Chunks & chunks, int32_t n_vocab, const std::string & model_path) {
    for (const int32_t token : chunks.tokens) {
        if (token < 0 || token >= n_vocab) {
            throw Failure("input", "token id " + std::to_string(token) + " is not in the vocabulary of " + model_path +
                                       ", which has " + std::to_string(n_vocab) + " tokens");
        }
    }
}

llama_context_params chunk_context_params(int32_t n_ctx, int32_t parallel, int32_t n_outputs, int32_t n_ubatch,
                                          int32_t n_threads, llama_flash_attn_type flash_attn) {
    llama_context_params params = llama_context_default_params();
    params.n_ctx = static_cast<uint32_t>(n_ctx) * parallel;
    params.n_batch = params.n_ctx;
    params.n_ubatch = n_ubatch;
    params.n_seq_max = parallel;
    params.n_outputs_max = static_cast<uint32_t>(n_outputs) * parallel;
    params.n_threads = n_threads;
    params.n_threads_batch = n_threads;
    params.flash_attn_type = flash_attn;
    params.swa_full = false;
    params.kv_unified = false;
    return params;
}

float * decode_chunks(llama_context * context, const Chunks & chunks, int32_t start, int32_t n, int32_t first,
                      int32_t last) {
    const llama_vocab * vocab = llama_model_get_vocab(llama_get_model(context));
    llama_memory_clear(llama_get_memory(context), true);

    const size_t n_tokens = static_cast<size_t>(n) * chunks.n_ctx;
    std::vector<llama_token> tokens(chunks.chunk(start), chunks.chunk(start) + n_tokens);
    std::vector<llama_pos> positions(n_tokens);
    std::vector<int32_t> n_seq_ids(n_tokens, 1);
    std::vector<llama_seq_id> sequences(n_tokens);
    std::vector<llama_seq_id *> seq_ids(n_tokens);
    std::vector<int8_t> wanted(n_tokens);
    for (size_t i = 0; i < n_tokens; ++i) {
        const auto position = static_cast<int32_t>(i % chunks.n_ctx);
        if (position == 0 && llama_vocab_get_add_bos(vocab)) {
            tokens[i] = llama_vocab_bos(vocab);
        }
        positions[i] = position;
        sequences[i] = static_cast<llama_seq_id>(i / chunks.n_ctx);
        seq_ids[i] = &sequences[i];
        wanted[i] = position >= first && position < last;
    }
    decode(context, {static_cast<int32_t>(n_tokens), tokens.data(), nullptr, positions.data(), n_seq_ids.data(),
                     seq_ids.data(), wanted.data()});
    float * logits = llama_get_logits(context);
    if (logits == nullptr) {
        throw Failure("decode", "llama.cpp gave no logits");
    }
    return logits;
}

} // namespace edgeq
