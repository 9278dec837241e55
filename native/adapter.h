// LoRA adapters: low-rank terms that llama.cpp adds to a model's matrix products.
#pragma once

#include "llama.h"

#include <string>

namespace edgeq {

// Loads an adapter onto a model, which then owns it. Call it before contexts of the model are made: they make room for
// its nodes. No path, "": no adapter. Failure "load" with llama.cpp's reason.
llama_adapter_lora * load_adapter(llama_model * model, const std::string & path);

// Lets a context compute with an adapter of its model, at scale 1; without one, nullptr, does nothing.
void use_adapter(llama_context * context, llama_adapter_lora * adapter);

} // namespace edgeq
