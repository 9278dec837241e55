// edgeq-generate: greedy continuations of prompts, by which builds and models are compared.
//
//   edgeq-generate --model M --events E --prompt 1,2,3 [--prompt ...] --n 16
//                  [--adapter A] [--repeats 1] [--parallel 16] [--threads 1] [--gpu-layers 0]
//
// Prompts and results are token ids. BOS is put in front where the vocabulary adds one. Prompts are decoded together,
// --parallel of them as sequences with caches of their own, each time in a fresh context. A token that ends a text is
// one like any other: all continuations have the same length.
//
//   {"event":"progress","done","total"}   {"event":"tokens","repeat","prompt","ids":[...]}
#include "adapter.h"
#include "args.h"
#include "batch.h"
#include "chunks.h"
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

using Tokens = std::vector<llama_token>;

struct Settings {
    int32_t n; // tokens to generate
    int32_t n_repeats;
    int32_t parallel;
    int32_t n_threads;
};

Tokens parse_prompt(const std::string & text, const llama_model * model, int32_t n) {
    Tokens prompt;
    std::istringstream parts(text);
    for (std::string part; std::getline(parts, part, ',');) {
        prompt.push_back(parse_integer(part, "a token of --prompt", 0, n_vocab(model) - 1));
    }
    if (prompt.empty()) {
        throw UsageError("--prompt is empty");
    }
    add_bos(llama_model_get_vocab(model), prompt);
    const int64_t length = static_cast<int64_t>(prompt.size()) + n;
    if (length > llama_model_n_ctx_train(model)) {
        throw Failure("input", "a prompt and its continuation have " + std::to_string(length) +
                                   " tokens, and the model was trained on " +
                                   std::to_string(llama_model_n_ctx_train(model)));
    }
    return prompt;
}

// Counts generated tokens over everything that is to be done.
class Progress {
public:
    explicit Progress(int64_t total) : total_(total) {}
    void add(size_t n) {
        done_ += static_cast<int64_t>(n);
        emit(Json("progress").add("done", done_).add("total", total_));
    }

private:
    int64_t done_ = 0;
    int64_t total_;
};

ContextPtr create_context(llama_model * model, const std::vector<Tokens> & prompts, const Settings & settings) {
    size_t longest = 0;
    size_t n_tokens = 0;
    for (const auto & prompt : prompts) {
        longest = std::max(longest, prompt.size());
        n_tokens += prompt.size();
    }
    llama_context_params params = llama_context_default_params();
    params.n_seq_max = static_cast<uint32_t>(prompts.size());
    params.n_ctx = (static_cast<uint32_t>(longest) + settings.n) * params.n_seq_max;
    params.n_batch = static_cast<uint32_t>(n_tokens);
    params.n_outputs_max = params.n_seq_max;
    params.n_threads = settings.n_threads;
    params.n_threads_batch = settings.n_threads;
    params.kv_unified = false;
    return edgeq::create_context(model, params, "generating");
}

// The continuations of a group of prompts.
std::vector<std::vector<int64_t>> generate(llama_context * context, const std::vector<Tokens> & prompts, int32_t n,
                                           Progress & progress) {
    const int32_t vocabulary = n_vocab(llama_get_model(context));
    Batch batch;
    for (size_t s = 0; s < prompts.size(); ++s) {
        const size_t last = prompts[s].size() - 1;
        for (size_t i = 0; i <= last; ++i) {
            batch.add(prompts[s][i], static_cast<llama_pos>(i), static_cast<llama_seq_id>(s), i == last);
        }
    }
    std::vector<std::vector<int64_t>> ids(prompts.size());
    for (int32_t step = 0; step < n; ++step) {
        const float * logits = decode(context, batch);
        batch.clear();
        for (size_t s = 0; s < prompts.size(); ++s, logits += vocabulary) {
            const auto best = static_cast<llama_token>(std::max_element(logits, logits + vocabulary) - logits);
            ids[s].push_back(best);
            batch.add(best, static_cast<llama_pos>(prompts[s].size()) + step, static_cast<llama_seq_id>(s), true);
        }
        progress.add(prompts.size());
    }
    return ids;
}

void run(const Args & args) {
    Settings settings{};
    settings.n = args.integer("n", 1);
    settings.n_repeats = args.integer("repeats", 1, 1, INT32_MAX);
    settings.parallel = args.integer("parallel", 16, 1, MAX_PARALLEL);
    settings.n_threads = args.integer("threads", 1, 1, INT32_MAX);
    const std::vector<std::string> given = args.all("prompt");
    if (given.empty()) {
        throw UsageError("option --prompt is missing");
    }

    init_backends();
    const ModelPtr model = load_model(args.get("model"), args.integer("gpu-layers", 0, -1, INT32_MAX));
    llama_adapter_lora * adapter = load_adapter(model.get(), args.get("adapter", ""));
    std::vector<Tokens> prompts;
    for (const auto & text : given) {
        prompts.push_back(parse_prompt(text, model.get(), settings.n));
    }

    const CpuThreads threads(settings.n_threads);
    Progress progress(static_cast<int64_t>(prompts.size()) * settings.n * settings.n_repeats);
    for (int32_t repeat = 0; repeat < settings.n_repeats; ++repeat) {
        for (size_t start = 0; start < prompts.size(); start += settings.parallel) {
            const size_t end = std::min(start + settings.parallel, prompts.size());
            const std::vector<Tokens> group(prompts.begin() + start, prompts.begin() + end);
            const ContextPtr context = create_context(model.get(), group, settings);
            use_adapter(context.get(), adapter);
            llama_attach_threadpool(context.get(), threads.get(), nullptr);
            const auto ids = generate(context.get(), group, settings.n, progress);
            for (size_t s = 0; s < ids.size(); ++s) {
                emit(Json("tokens")
                         .add("repeat", repeat)
                         .add("prompt", static_cast<int64_t>(start + s))
                         .add("ids", ids[s]));
            }
        }
    }
}

} // namespace

int main(int argc, char ** argv) {
    return run_program("edgeq-generate", [&] {
        const Args args(argc, argv, {"model", "adapter", "events", "prompt", "n", "repeats", "parallel", "threads",
                                     "gpu-layers"});
        open_events(args.get("events"));
        run(args);
    });
}
