#include "model.h"

#include "args.h"

#include "ggml-backend.h"

namespace edgeq {

// llama.cpp's API tells running out of memory from other refusals in its log only.
Failure refusal(const std::string & what, const std::string & fallback_code) {
    const std::string cause = logged_error();
    for (const char * sign : {"alloc", "out of memory", "insufficient memory"}) {
        if (cause.find(sign) != std::string::npos) {
            return Failure("memory", "not enough memory to " + what + ": " + cause);
        }
    }
    if (fallback_code == "memory" && cause.empty()) {
        return Failure("memory", "not enough memory to " + what);
    }
    return Failure(cause.empty() ? fallback_code : "load",
                   "can't " + what + ": " + (cause.empty() ? "llama.cpp gave no reason" : cause));
}

void init_backends() {
    ggml_backend_load_all();
    llama_backend_init();
}

ModelPtr load_model(const std::string & path, int32_t n_gpu_layers, bool writable) {
    llama_model_params params = llama_model_default_params();
    params.n_gpu_layers = n_gpu_layers;
    if (writable) {
        params.load_mode = LLAMA_LOAD_MODE_NONE;
        params.use_extra_bufts = false; // AMX's buffers can't be read, and repacked weights have another layout
    }
    forget_logged_error();
    ModelPtr model(llama_model_load_from_file(path.c_str(), params));
    if (!model) {
        throw refusal("load " + path, "load");
    }
    return model;
}

ContextPtr create_context(llama_model * model, const llama_context_params & params, const std::string & what) {
    forget_logged_error();
    ContextPtr context(llama_init_from_model(model, params));
    if (!context) {
        throw refusal("create a context for " + what, "memory");
    }
    return context;
}

void decode(llama_context * context, const llama_batch & batch) {
    forget_logged_error();
    const int32_t status = llama_decode(context, batch);
    llama_synchronize(context);
    if (status == 0) {
        return;
    }
    const std::string cause = logged_error();
    if (status == -2) { // llama.cpp: failed to allocate, or to compute, which it logs
        throw Failure("memory", "not enough memory to decode " + std::to_string(batch.n_tokens) + " tokens: " + cause);
    }
    if (status == 1) {
        throw Failure("decode", "the KV cache has no room for " + std::to_string(batch.n_tokens) + " tokens");
    }
    throw Failure("decode", "llama_decode failed with status " + std::to_string(status) + ": " + cause);
}

Json model_event(const llama_model * model) {
    char description[256] = "";
    llama_model_desc(model, description, sizeof(description));
    return Json("model")
        .add("desc", description)
        .add("n_params", static_cast<int64_t>(llama_model_n_params(model)))
        .add("size_bytes", static_cast<int64_t>(llama_model_size(model)))
        .add("n_layers", llama_model_n_layer(model))
        .add("n_ctx_train", llama_model_n_ctx_train(model))
        .add("n_vocab", n_vocab(model));
}

int32_t n_vocab(const llama_model * model) { return llama_vocab_n_tokens(llama_model_get_vocab(model)); }

llama_flash_attn_type parse_flash_attn(const std::string & text) {
    if (text == "auto") {
        return LLAMA_FLASH_ATTN_TYPE_AUTO;
    }
    if (text == "on") {
        return LLAMA_FLASH_ATTN_TYPE_ENABLED;
    }
    if (text == "off") {
        return LLAMA_FLASH_ATTN_TYPE_DISABLED;
    }
    throw UsageError("--flash-attn must be auto, on or off, not '" + text + "'");
}

ggml_type parse_type(const std::string & text) {
    for (int i = 0; i < GGML_TYPE_COUNT; ++i) {
        const auto type = static_cast<ggml_type>(i);
        if (ggml_blck_size(type) > 0 && text == ggml_type_name(type)) {
            return type;
        }
    }
    throw UsageError("'" + text + "' is not a ggml type");
}

} // namespace edgeq
