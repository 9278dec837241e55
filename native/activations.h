// Fake quantization to 8 bits, symmetric, of the activations that feed the weight matrices of a model's blocks.
#pragma once

#include "ggml.h"
#include "llama.h"

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace edgeq {

// What shares one scale: a tensor, with the range it had on calibration text; a tensor, as one ubatch has it; a row of
// it, which is a token; 32 values of a row, exactly as in ggml's Q8_0.
enum class Activations { STATIC_TENSOR, DYNAMIC_TENSOR, DYNAMIC_TOKEN, DYNAMIC_32 };

// "static-tensor", "dynamic-tensor", "dynamic-token" or "dynamic-32". Others are a UsageError.
Activations parse_activations(const std::string & text);

// Overwrites in a context each tensor that is an input of weight matrices, once, right after it has been computed. Any
// case in which that would not be so, or would change more than these inputs, is found and becomes a Failure.
class ActivationQuantizer {
public:
    // Sets cb_eval for a context to be made, which must not outlive this. A Failure names the model by its path.
    ActivationQuantizer(Activations mode, const std::string & path, llama_context_params & params);
    ActivationQuantizer(const ActivationQuantizer &) = delete;
    ActivationQuantizer & operator=(const ActivationQuantizer &) = delete;

    // Decodes two tokens to learn which tensors these are; from then on they are overwritten. Empties the KV cache. An
    // adapter must be in use before.
    void learn(llama_context * context);

    // For STATIC_TENSOR, after learn(): what `run` decodes is not overwritten, it gives the ranges.
    void calibrate(const std::function<void()> & run);

    // Throws what went wrong while decoding: the values of that decoding are of no use.
    void check() const;

private:
    enum class Stage { LEARNING, RANGING, OVERWRITING };
    struct Input {
        int64_t row_length;
        float range = 0.0f;
        bool ready = false; // computed and overwritten in the current graph
    };

    static bool on_tensor(ggml_tensor * tensor, bool ask, void * quantizer);
    void learn_node(const ggml_tensor * node);
    bool check_node(const ggml_tensor * node);
    void take(ggml_tensor * tensor);
    void overwrite(float * values, int64_t n, const Input & input);
    std::string origin(const ggml_tensor * tensor) const;

    const Activations mode_;
    const std::string path_;
    Stage stage_ = Stage::LEARNING;
    std::map<std::string, Input> inputs_;        // by the name of the node that computes it
    std::map<std::string, std::string> viewed_;  // view -> that node: the scheduler may copy the view
    std::vector<float> host_copy_;               // of activations that lie on another device
    std::vector<char> blocks_;
    std::string problem_;
};

} // namespace edgeq
