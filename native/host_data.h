// A tensor's values where the host can read them.
#pragma once

#include "ggml-backend.h"

#include <vector>

namespace edgeq {

// The tensor's own bytes, or `copy` filled with them if they lie on another device.
inline const char * host_data(const ggml_tensor * tensor, std::vector<char> & copy) {
    if (ggml_backend_buffer_is_host(tensor->buffer)) {
        return static_cast<const char *>(tensor->data);
    }
    copy.resize(ggml_nbytes(tensor));
    ggml_backend_tensor_get(tensor, copy.data(), 0, copy.size());
    return copy.data();
}

} // namespace edgeq
