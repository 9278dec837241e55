// A text as token ids, cut into chunks of n_ctx, and how a group of chunks is decoded together.
#pragma once

#include "llama.h"

#include <cstdint>
#include <string>
#include <vector>

namespace edgeq {

// llama.cpp's LLAMA_MAX_SEQ, which its public headers don't have.
constexpr int32_t MAX_PARALLEL = 256;

struct Chunks {
    std::vector<int32_t> tokens; // n_chunks * n_ctx ids
    int32_t n_ctx = 0;

    int32_t count() const { return static_cast<int32_t>(tokens.size() / static_cast<size_t>(n_ctx)); }
    const int32_t * chunk(int32_t i) const { return tokens.data() + static_cast<size_t>(i) * n_ctx; }
};

// Reads little-endian int32 ids. Failure "input" unless there are whole chunks of them.
Chunks read_chunks(const std::string & path, int32_t n_ctx);

// Failure "input" if an id is not in a vocabulary of `n_vocab` tokens.
void check_vocabulary(const Chunks & chunks, int32_t n_vocab, const std::string & model_path);

// A context for decoding `parallel` chunks at once, each as a sequence with its own KV cache: as llama-perplexity
// and llama-imatrix do it. n_outputs: positions of a chunk that ask for logits.
llama_context_params chunk_context_params(int32_t n_ctx, int32_t parallel, int32_t n_outputs, int32_t n_ubatch,
                                          int32_t n_threads, llama_flash_attn_type flash_attn);

// Decodes chunks [start, start + n) from an empty KV cache, asking for the logits of positions [first, last) of each.
// Like llama-perplexity, BOS takes the place of a chunk's first token where the vocabulary adds one. Returns the
// logits as rows of n_vocab floats, (last - first) per chunk in order; they live until the context decodes again.
float * decode_chunks(llama_context * context, const Chunks & chunks, int32_t start, int32_t n, int32_t first,
                      int32_t last);

} // namespace edgeq
