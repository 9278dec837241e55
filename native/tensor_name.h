// Names of tensors in a graph.
#pragma once

#include "ggml.h"

#include <string>

namespace edgeq {

// "CUDA0#blk.0.attn_k.weight#0" is the scheduler's name for a copy of blk.0.attn_k.weight.
inline std::string plain_name(const ggml_tensor * tensor) {
    const std::string name = tensor->name;
    const size_t start = name.find('#');
    if (start == std::string::npos) {
        return name;
    }
    return name.substr(start + 1, name.find('#', start + 1) - start - 1);
}

// Whether it is a weight of one of the model's blocks, and not of an adapter on it.
inline bool is_block_weight(const ggml_tensor * tensor) {
    const std::string name = plain_name(tensor);
    return name.rfind("blk.", 0) == 0 && name.find(".lora_") == std::string::npos;
}

} // namespace edgeq
