#include "activations.h"

#include "args.h"
#include "failure.h"
#include "model.h"
#include "tensor_name.h"

#include "ggml-backend.h"

#include <algorithm>
#include <cfloat>
#include <cmath>

namespace edgeq {

namespace {

constexpr float MOST = 127.0f;
constexpr int64_t BLOCK = 32;

// These give another shape to values that another node has computed.
bool is_view(const ggml_tensor * t) {
    return t->op == GGML_OP_RESHAPE || t->op == GGML_OP_VIEW || t->op == GGML_OP_PERMUTE || t->op == GGML_OP_TRANSPOSE;
}

const ggml_tensor * root(const ggml_tensor * t) {
    while (is_view(t)) {
        t = t->src[0];
    }
    return t;
}

bool is_product(const ggml_tensor * t) { return t->op == GGML_OP_MUL_MAT || t->op == GGML_OP_MUL_MAT_ID; }

// A product of activations with a weight of a block; an adapter's products read the same activations.
bool is_weight_product(const ggml_tensor * t) { return is_product(t) && is_block_weight(t->src[0]); }

bool is_adapter_product(const ggml_tensor * t) {
    return is_product(t) && plain_name(t->src[0]).find(".lora_a") != std::string::npos;
}

float largest(const float * x, int64_t n) {
    float found = 0.0f;
#pragma omp simd reduction(max : found)
    for (int64_t i = 0; i < n; ++i) {
        found = std::max(found, std::fabs(x[i]));
    }
    return found;
}

// Values that have the codes -127 to 127 times range / 127. NaN stays NaN.
void round_to_range(float * x, int64_t n, float range) {
    const float step = range / MOST;
    const float inverse = step >= FLT_MIN ? 1.0f / step : 0.0f; // a smaller step has no finite inverse
    for (int64_t i = 0; i < n; ++i) {
        x[i] = std::clamp(std::round(x[i] * inverse), -MOST, MOST) * step;
    }
}

} // namespace

Activations parse_activations(const std::string & text) {
    const std::map<std::string, Activations> modes = {{"static-tensor", Activations::STATIC_TENSOR},
                                                      {"dynamic-tensor", Activations::DYNAMIC_TENSOR},
                                                      {"dynamic-token", Activations::DYNAMIC_TOKEN},
                                                      {"dynamic-32", Activations::DYNAMIC_32}};
    const auto found = modes.find(text);
    if (found == modes.end()) {
        throw UsageError("activations must be static-tensor, dynamic-tensor, dynamic-token or dynamic-32, not '" +
                         text + "'");
    }
    return found->second;
}

ActivationQuantizer::ActivationQuantizer(Activations mode, const std::string & path, llama_context_params & params)
    : mode_(mode), path_(path) {
    params.cb_eval = on_tensor;
    params.cb_eval_user_data = this;
}

void ActivationQuantizer::learn(llama_context * context) {
    std::vector<llama_token> tokens(2, 0);
    decode(context, llama_batch_get_one(tokens.data(), static_cast<int32_t>(tokens.size())));
    llama_memory_clear(llama_get_memory(context), true);
    if (inputs_.empty() && problem_.empty()) {
        problem_ = "it has no weight matrices named blk.*";
    }
    check();
    stage_ = Stage::OVERWRITING;
}

void ActivationQuantizer::calibrate(const std::function<void()> & run) {
    stage_ = Stage::RANGING;
    run();
    check();
    stage_ = Stage::OVERWRITING;
}

void ActivationQuantizer::check() const {
    if (!problem_.empty()) {
        throw Failure("input", "can't quantize the activations of " + path_ + ": " + problem_);
    }
}

// The scheduler asks for each node in order. Where the answer is true it computes up to this node and calls again, with
// ask false, before anything reads the values. Asking goes on after a problem: only the second call can end the graph.
bool ActivationQuantizer::on_tensor(ggml_tensor * tensor, bool ask, void * quantizer) {
    auto * self = static_cast<ActivationQuantizer *>(quantizer);
    // Called from C code inside llama_decode: no exception may leave.
    try {
        if (!ask) {
            self->take(tensor);
        } else if (self->stage_ == Stage::LEARNING) {
            self->learn_node(tensor);
            return false;
        } else {
            return self->check_node(tensor);
        }
    } catch (const std::exception & error) {
        if (self->problem_.empty()) {
            self->problem_ = error.what();
        }
    }
    return self->problem_.empty();
}

// Name of the node that computed these values.
std::string ActivationQuantizer::origin(const ggml_tensor * tensor) const {
    const ggml_tensor * computed = root(tensor);
    const std::string name = plain_name(computed);
    const bool is_copy = computed->op == GGML_OP_NONE;
    const auto view = is_copy ? viewed_.find(name) : viewed_.end();
    return view == viewed_.end() ? name : view->second;
}

void ActivationQuantizer::learn_node(const ggml_tensor * node) {
    if (is_view(node)) {
        viewed_[plain_name(node)] = plain_name(root(node));
        return;
    }
    if (!is_weight_product(node)) {
        return;
    }
    const ggml_tensor * activations = node->src[1];
    const auto [input, is_new] = inputs_.try_emplace(origin(activations), Input{activations->ne[0]});
    if (!is_new && input->second.row_length != activations->ne[0]) {
        throw Failure("input", input->first + " has rows of two lengths as an input of weights");
    }
    if (mode_ == Activations::DYNAMIC_32 && activations->ne[0] % BLOCK != 0) {
        throw Failure("input", input->first + " has rows of " + std::to_string(activations->ne[0]) +
                                   " values, which are no whole blocks of 32");
    }
}

// Makes sure that what this node reads was overwritten where it must be, and only there. Whether the node itself is to
// be overwritten.
bool ActivationQuantizer::check_node(const ggml_tensor * node) {
    if (is_view(node)) {
        return false;
    }
    for (int i = 0; i < GGML_MAX_SRC; ++i) {
        if (node->src[i] == nullptr) {
            continue;
        }
        const std::string name = origin(node->src[i]);
        const bool feeds_weight = i == 1 && is_weight_product(node);
        const auto input = inputs_.find(name);
        if (input == inputs_.end()) {
            if (feeds_weight) {
                throw Failure("input", plain_name(node->src[0]) + " has an input that was not seen before: " + name);
            }
            continue;
        }
        if (!feeds_weight && !(i == 1 && is_adapter_product(node))) {
            throw Failure("input", name + " feeds weights and " + node->name +
                                       ": overwriting it would change more than the input of weights");
        }
        const ggml_tensor * source = root(node->src[i]);
        if (!input->second.ready || !ggml_is_contiguous(node->src[i]) ||
            ggml_nelements(node->src[i]) != ggml_nelements(source)) {
            throw Failure("input", plain_name(node->src[0]) + " reads " + name + " in a way that can't be overwritten");
        }
    }
    const auto input = inputs_.find(plain_name(node));
    if (input == inputs_.end()) {
        return false;
    }
    input->second.ready = false;
    return true;
}

void ActivationQuantizer::take(ggml_tensor * tensor) {
    Input & input = inputs_.at(plain_name(tensor));
    const int64_t n = ggml_nelements(tensor);
    if (tensor->type != GGML_TYPE_F32 || !ggml_is_contiguous(tensor) || n % input.row_length != 0) {
        throw Failure("input", std::string(tensor->name) + " is not contiguous F32, so it can't be overwritten");
    }
    const bool on_host = ggml_backend_buffer_is_host(tensor->buffer);
    auto * values = static_cast<float *>(tensor->data);
    if (!on_host) {
        host_copy_.resize(n);
        values = host_copy_.data();
        ggml_backend_tensor_get(tensor, values, 0, n * sizeof(float));
    }
    if (stage_ == Stage::RANGING) {
        input.range = std::max(input.range, largest(values, n));
    } else {
        overwrite(values, n, input);
        if (!on_host) {
            ggml_backend_tensor_set(tensor, values, 0, n * sizeof(float));
        }
    }
    input.ready = true;
}

void ActivationQuantizer::overwrite(float * values, int64_t n, const Input & input) {
    switch (mode_) {
    case Activations::STATIC_TENSOR:
        round_to_range(values, n, input.range);
        break;
    case Activations::DYNAMIC_TENSOR:
        round_to_range(values, n, largest(values, n));
        break;
    case Activations::DYNAMIC_TOKEN:
        for (int64_t start = 0; start < n; start += input.row_length) {
            round_to_range(values + start, input.row_length, largest(values + start, input.row_length));
        }
        break;
    case Activations::DYNAMIC_32: {
        const ggml_type_traits * q8_0 = ggml_get_type_traits(GGML_TYPE_Q8_0);
        blocks_.resize(ggml_row_size(GGML_TYPE_Q8_0, n));
        q8_0->from_float_ref(values, blocks_.data(), n);
        q8_0->to_float(blocks_.data(), values, n);
        break;
    }
    }
}

} // namespace edgeq
