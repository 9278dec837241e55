#include "evaluate_models.h"

#include "adapter.h"
#include "events.h"
#include "failure.h"

#include <algorithm>

namespace edgeq {

namespace {

Evaluated load(const Runs & runs, int index, const Settings & settings, const Chunks & chunks) {
    Evaluated one;
    one.runs = runs;
    one.model = load_model(runs.path, settings.n_gpu_layers);
    check_vocabulary(chunks, n_vocab(one.model.get()), runs.path);
    llama_adapter_lora * adapter = load_adapter(one.model.get(), runs.adapter);
    llama_context_params params =
        chunk_context_params(settings.n_ctx, settings.parallel, settings.scored_per_chunk(), runs.n_ubatch,
                             settings.n_threads, settings.flash_attn);
    if (runs.quantized) {
        one.quantizer = std::make_unique<ActivationQuantizer>(runs.activations, runs.path, params);
    }
    one.context = create_context(one.model.get(), params, runs.path);
    use_adapter(one.context.get(), adapter);
    if (one.quantizer) {
        one.quantizer->learn(one.context.get());
    }
    emit(model_event(one.model.get()).add("index", index).add("path", runs.path));
    return one;
}

} // namespace

std::vector<Runs> parse_models(const Args & args, const Settings & settings) {
    std::vector<Runs> all = {{args.get("reference"), "", settings.n_ubatch, false, {}}};
    for (const auto & path : args.all("candidate")) {
        all.push_back({path, "", settings.n_ubatch, false, {}});
    }
    const auto n = static_cast<int32_t>(all.size()) - 1;
    for (const auto & [k, path] : args.indexed("adapter", n)) {
        all[k + 1].adapter = path;
    }
    for (const auto & [k, mode] : args.indexed("activations", n)) {
        all[k + 1].quantized = true;
        all[k + 1].activations = parse_activations(mode);
    }
    for (const auto & [k, text] : args.indexed("ubatch-of", n)) {
        all[k + 1].n_ubatch = parse_integer(text, "--ubatch-of", 1, INT32_MAX);
    }
    return all;
}

std::vector<Evaluated> load_all(const std::vector<Runs> & all, const Settings & settings, const Chunks & chunks) {
    std::vector<Evaluated> models;
    for (const auto & runs : all) {
        const int index = static_cast<int>(models.size()) - 1;
        models.push_back(load(runs, index, settings, chunks));
        const int32_t expected = n_vocab(models.front().model.get());
        const int32_t found = n_vocab(models.back().model.get());
        if (found != expected) {
            throw Failure("input", runs.path + " has a vocabulary of " + std::to_string(found) +
                                       " tokens, the reference " + all.front().path + " one of " +
                                       std::to_string(expected));
        }
    }
    const size_t n_scored = static_cast<size_t>(chunks.count()) * settings.scored_per_chunk();
    for (auto & one : models) {
        one.nll.resize(n_scored);
        one.kld.resize(&one == &models.front() ? 0 : n_scored);
        one.same_top.resize(one.kld.size());
    }
    return models;
}

// Of the positions that are scored: the last block computes no others, so their values have no part in the result.
void calibrate(Evaluated & one, const Settings & settings, const Chunks & calibration,
               const std::function<void(int32_t)> & on_chunks) {
    check_vocabulary(calibration, n_vocab(one.model.get()), one.runs.path);
    one.quantizer->calibrate([&] {
        for (int32_t start = 0; start < calibration.count(); start += settings.parallel) {
            const int32_t n = std::min(settings.parallel, calibration.count() - start);
            decode(one, settings, calibration, start, n);
            on_chunks(n);
        }
    });
}

const float * decode(Evaluated & one, const Settings & settings, const Chunks & chunks, int32_t start, int32_t n) {
    const float * logits = decode_chunks(one.context.get(), chunks, start, n, settings.first,
                                         settings.first + settings.scored_per_chunk());
    if (one.quantizer) {
        one.quantizer->check();
    }
    return logits;
}

} // namespace edgeq
