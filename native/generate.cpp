// edgeq-generate: the greedy continuation of a prompt, by which two builds are compared.
//
//   edgeq-generate --model M --events E --prompt 1,2,3 --n 16 [--threads 1] [--gpu-layers 0]
//
// Prompt and result are token ids: {"event":"tokens","ids":[...]}
#include "args.h"
#include "cpu_threads.h"
#include "events.h"
#include "failure.h"
#include "model.h"

#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

using namespace edgeq;

namespace {

std::vector<llama_token> parse_prompt(const std::string & text, int32_t vocabulary) {
    std::vector<llama_token> prompt;
    std::istringstream parts(text);
    for (std::string part; std::getline(parts, part, ',');) {
        prompt.push_back(parse_integer(part, "a token of --prompt", 0, vocabulary - 1));
    }
    if (prompt.empty()) {
        throw UsageError("--prompt is empty");
    }
    return prompt;
}

void generate(const Args & args) {
    init_backends();
    const ModelPtr model = load_model(args.get("model"), args.integer("gpu-layers", 0, -1, INT32_MAX));
    const int32_t vocabulary = n_vocab(model.get());
    std::vector<llama_token> batch = parse_prompt(args.get("prompt"), vocabulary);
    const int32_t n = args.integer("n", 1);

    llama_context_params params = llama_context_default_params();
    params.n_ctx = static_cast<uint32_t>(batch.size()) + n;
    params.n_batch = params.n_ctx;
    const int32_t n_threads = args.integer("threads", 1, 1, INT32_MAX);
    const CpuThreads threads(n_threads);
    const ContextPtr context = create_context(model.get(), params, "generating");
    llama_attach_threadpool(context.get(), threads.get(), nullptr);
    llama_set_n_threads(context.get(), n_threads, n_threads);

    std::vector<int64_t> ids;
    while (static_cast<int32_t>(ids.size()) < n) {
        decode(context.get(), llama_batch_get_one(batch.data(), static_cast<int32_t>(batch.size())));
        const float * logits = llama_get_logits_ith(context.get(), -1);
        const auto best = static_cast<llama_token>(std::max_element(logits, logits + vocabulary) - logits);
        ids.push_back(best);
        batch = {best};
    }
    emit(Json("tokens").add("ids", ids));
}

} // namespace

int main(int argc, char ** argv) {
    return run_program("edgeq-generate", [&] {
        const Args args(argc, argv, {"model", "events", "prompt", "n", "threads", "gpu-layers"});
        open_events(args.get("events"));
        generate(args);
    });
}
