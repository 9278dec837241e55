// The models of an evaluation, each with the context that it is decoded in.
#pragma once

#include "activations.h"
#include "args.h"
#include "chunks.h"
#include "model.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace edgeq {

struct Settings {
    int32_t n_ctx;
    int32_t first; // first position whose prediction is scored
    int32_t parallel;
    int32_t n_ubatch;
    int32_t n_threads;
    int32_t n_gpu_layers;
    llama_flash_attn_type flash_attn;

    int32_t scored_per_chunk() const { return n_ctx - 1 - first; }
};

// How one model is run. adapter: path or "". quantized: whether its activations are, as `activations` says.
struct Runs {
    std::string path;
    std::string adapter;
    int32_t n_ubatch;
    bool quantized;
    Activations activations;

    bool needs_calibration() const { return quantized && activations == Activations::STATIC_TENSOR; }
};

// A model under evaluation. For the reference kld and same_top stay empty.
struct Evaluated {
    Runs runs;
    ModelPtr model;
    std::unique_ptr<ActivationQuantizer> quantizer; // outlives the context that calls it
    ContextPtr context;
    std::vector<float> nll;
    std::vector<float> kld;
    std::vector<uint8_t> same_top;
    int64_t forward_ns = 0;
};

// Reads --reference, --candidate, --adapter, --activations and --ubatch-of: the reference first.
std::vector<Runs> parse_models(const Args & args, const Settings & settings);

// Loads all models, which have one vocabulary size, and makes room for what the chunks give.
std::vector<Evaluated> load_all(const std::vector<Runs> & all, const Settings & settings, const Chunks & chunks);

// Finds the ranges of a model that needs_calibration(). `on_chunks` is called with the number of chunks just decoded.
void calibrate(Evaluated & one, const Settings & settings, const Chunks & calibration,
               const std::function<void(int32_t)> & on_chunks);

// Decodes chunks [start, start + n). Returns the logits of the scored positions.
const float * decode(Evaluated & one, const Settings & settings, const Chunks & chunks, int32_t start, int32_t n);

} // namespace edgeq
