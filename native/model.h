// Loading models, creating contexts and decoding with them; every refusal of llama.cpp becomes a Failure.
#pragma once

#include "events.h"
#include "failure.h"

#include "llama.h"

#include <memory>
#include <string>

namespace edgeq {

struct FreeModel {
    void operator()(llama_model * model) const { llama_model_free(model); }
};
struct FreeContext {
    void operator()(llama_context * context) const { llama_free(context); }
};
using ModelPtr = std::unique_ptr<llama_model, FreeModel>;
using ContextPtr = std::unique_ptr<llama_context, FreeContext>;

// Loads the backends; call it once, before anything else of llama.cpp.
void init_backends();

// The failure that llama.cpp's log since forget_logged_error() describes. `what`: as in "can't load x". The code is
// "memory" where memory ran out, else "load", or, where nothing was logged, `fallback_code`.
Failure refusal(const std::string & what, const std::string & fallback_code);

// Loads a model with llama.cpp's defaults. n_gpu_layers: -1 means all. Weights that are to be written to aren't mapped.
ModelPtr load_model(const std::string & path, int32_t n_gpu_layers, bool writable = false);

// Creates a context for `what`, which a Failure names.
ContextPtr create_context(llama_model * model, const llama_context_params & params, const std::string & what);

// llama_decode, waits for the result.
void decode(llama_context * context, const llama_batch & batch);

// {"event":"model","desc","n_params","size_bytes","n_layers","n_ctx_train","n_vocab"}
Json model_event(const llama_model * model);

int32_t n_vocab(const llama_model * model);

// "auto", "on" or "off"; "f16", "q8_0" and so on, as ggml spells its types. Others are a UsageError.
llama_flash_attn_type parse_flash_attn(const std::string & text);
ggml_type parse_type(const std::string & text);

} // namespace edgeq
