#include "adapter.h"

#include "failure.h"
#include "model.h"

namespace edgeq {

llama_adapter_lora * load_adapter(llama_model * model, const std::string & path) {
    if (path.empty()) {
        return nullptr;
    }
    forget_logged_error();
    llama_adapter_lora * adapter = llama_adapter_lora_init(model, path.c_str());
    if (adapter == nullptr) {
        throw refusal("load the adapter " + path, "load");
    }
    return adapter;
}

void use_adapter(llama_context * context, llama_adapter_lora * adapter) {
    if (adapter == nullptr) {
        return;
    }
    float scale = 1.0f;
    if (llama_set_adapters_lora(context, &adapter, 1, &scale) != 0) {
        throw Failure("load", "llama.cpp does not take the adapter");
    }
}

} // namespace edgeq
