// edgeq-score: how likely a model finds given answers to questions, teacher-forced.
//
//   edgeq-score --model M --items I.i32 [--items ...] --threads N --out PREFIX --events E [--adapter A]
//               [--activations MODE [--calibration T.i32 --n-ctx 512]] [--parallel 16] [--ubatch 512]
//
// Files of items are as read_questions() has them. Writes little-endian arrays over the answers in their order, for
// items file K PREFIX.K.nll.f32, the sum of -ln p of an answer's tokens, and PREFIX.K.top.i32, how many of them are the
// most likely ones (the first of equals): all, if and only if greedy decoding gives just this answer.
//
// What all prompts of a file begin with is decoded once, as sequence 0, and copied to the sequences of the answers; so
// is, within an item, the rest of its prompt. Only whole sequences are copied, which recurrent memory can do as well.
//
// Fake quantization of activations is that of activations.h; static-tensor takes its ranges from chunks of tokens, from
// those positions that edgeq-evaluate scores by default.
#include "activations.h"
#include "adapter.h"
#include "args.h"
#include "batch.h"
#include "chunks.h"
#include "events.h"
#include "failure.h"
#include "files.h"
#include "items.h"
#include "memory.h"
#include "model.h"
#include "pool.h"
#include "scoring.h"

#include <algorithm>
#include <memory>
#include <numeric>

using namespace edgeq;

namespace {

struct Scores {
    std::vector<float> nll;
    std::vector<int32_t> top;
};

// Room for any of the files, and for a chunk of calibration text.
llama_context_params context_params(const Args & args, const std::vector<Questions> & files, const Chunks & chunks) {
    int32_t n_tokens = chunks.n_ctx;
    int32_t n_ctx = chunks.n_ctx;
    int32_t n_outputs = chunks.n_ctx;
    int32_t n_sequences = 0;
    for (const auto & file : files) {
        for (const auto & group : file.groups) {
            n_tokens = std::max({n_tokens, file.shared, group.n_tokens});
            n_ctx = std::max(n_ctx, file.shared + group.n_tokens);
            n_outputs = std::max(n_outputs, group.n_outputs);
            n_sequences = std::max(n_sequences, group.n_sequences);
        }
    }
    if (n_sequences >= MAX_PARALLEL) {
        throw Failure("input", "an item has " + std::to_string(n_sequences) + " answers, more than the " +
                                   std::to_string(MAX_PARALLEL - 1) + " that llama.cpp takes");
    }
    llama_context_params params = llama_context_default_params();
    params.n_ctx = n_ctx;
    params.n_batch = n_tokens;
    params.n_ubatch = args.integer("ubatch", 512, 1, INT32_MAX);
    params.n_seq_max = 1 + n_sequences;
    params.n_outputs_max = n_outputs;
    params.n_threads = args.integer("threads", 1);
    params.n_threads_batch = params.n_threads;
    params.swa_full = false;
    params.kv_unified = true;
    return params;
}

void decode_shared(llama_context * context, const Questions & file) {
    Batch batch;
    for (int32_t position = 0; position < file.shared; ++position) {
        batch.add(file.items.front().prompt[position], position, 0, false);
    }
    if (batch.size() > 0) {
        decode(context, batch.view());
    }
}

// The rest of the prompts of items with several answers, each as the sequence of its item's first answer.
void decode_prompts(llama_context * context, const Questions & file, const Group & group) {
    Batch batch;
    int32_t sequence = 1;
    for (size_t i = group.begin; i < group.end; ++i) {
        llama_memory_seq_cp(llama_get_memory(context), 0, sequence, -1, -1);
        for (int32_t position = file.shared; position < file.items[i].fork(file.shared); ++position) {
            batch.add(file.items[i].prompt[position], position, sequence, false);
        }
        sequence += file.items[i].n_answers();
    }
    if (batch.size() > 0) {
        decode(context, batch.view());
    }
}

// What is left of the answers' sequences. Rows of logits: the predictions of all answers' tokens, in order.
float * decode_answers(llama_context * context, const Questions & file, const Group & group) {
    Batch batch;
    int32_t sequence = 1;
    for (size_t i = group.begin; i < group.end; ++i) {
        const Item & item = file.items[i];
        const int32_t first = sequence;
        for (const auto & answer : item.answers) {
            if (sequence != first) {
                llama_memory_seq_cp(llama_get_memory(context), first, sequence, -1, -1);
            }
            for (int32_t position = item.fork(file.shared); position < item.n_prompt(); ++position) {
                batch.add(item.prompt[position], position, sequence, position == item.n_prompt() - 1);
            }
            for (size_t k = 0; k + 1 < answer.size(); ++k) {
                batch.add(answer[k], item.n_prompt() + static_cast<int32_t>(k), sequence, true);
            }
            ++sequence;
        }
    }
    return decode(context, batch);
}

float * decode_group(llama_context * context, const Questions & file, const Group & group) {
    for (int32_t sequence = 1; sequence <= group.n_sequences; ++sequence) {
        llama_memory_seq_rm(llama_get_memory(context), sequence, -1, -1);
    }
    decode_prompts(context, file, group);
    return decode_answers(context, file, group);
}

void add_scores(const float * logits, int32_t vocab, const Questions & file, const Group & group, ThreadPool & pool,
                Scores & scores) {
    std::vector<llama_token> targets;
    for (size_t i = group.begin; i < group.end; ++i) {
        for (const auto & answer : file.items[i].answers) {
            targets.insert(targets.end(), answer.begin(), answer.end());
        }
    }
    std::vector<float> nll(targets.size());
    std::vector<int32_t> top(targets.size());
    pool.run(group.n_outputs, [&](int row) {
        const float * x = logits + static_cast<size_t>(row) * vocab;
        const Softmax found = softmax(x, vocab);
        nll[row] = found.nll(x, targets[row]);
        top[row] = found.top == targets[row] ? 1 : 0;
    });
    size_t row = 0;
    for (size_t i = group.begin; i < group.end; ++i) {
        for (const auto & answer : file.items[i].answers) {
            const size_t end = row + answer.size();
            scores.nll.push_back(static_cast<float>(std::accumulate(nll.begin() + row, nll.begin() + end, 0.0)));
            scores.top.push_back(std::accumulate(top.begin() + row, top.begin() + end, 0));
            row = end;
        }
    }
}

void calibrate(ActivationQuantizer & quantizer, llama_context * context, const Chunks & chunks) {
    quantizer.calibrate([&] {
        for (int32_t i = 0; i < chunks.count(); ++i) {
            decode_chunks(context, chunks, i, 1, chunks.n_ctx / 2, chunks.n_ctx - 1);
        }
    });
}

void score(const Args & args) {
    const std::string path = args.get("model");
    const std::string prefix = args.get("out");
    const std::string mode = args.get("activations", "");
    const int32_t parallel = args.integer("parallel", 16, 1, MAX_PARALLEL - 1);
    Chunks calibration;
    if (!mode.empty() && parse_activations(mode) == Activations::STATIC_TENSOR) {
        calibration = read_chunks(args.get("calibration"), args.integer("n-ctx", 512, 2, INT32_MAX));
    }

    init_backends();
    const ModelPtr model = load_model(path, 0);
    llama_adapter_lora * adapter = load_adapter(model.get(), args.get("adapter", ""));
    emit(model_event(model.get()));
    const int32_t vocab = n_vocab(model.get());
    check_vocabulary(calibration, vocab, path);
    std::vector<Questions> files;
    size_t n_items = 0;
    for (const auto & file : args.all("items")) {
        files.push_back(read_questions(file, model.get(), parallel));
        n_items += files.back().items.size();
    }

    llama_context_params params = context_params(args, files, calibration);
    std::unique_ptr<ActivationQuantizer> quantizer;
    if (!mode.empty()) {
        quantizer = std::make_unique<ActivationQuantizer>(parse_activations(mode), path, params);
    }
    const ContextPtr context = create_context(model.get(), params, path);
    use_adapter(context.get(), adapter);
    if (quantizer) {
        quantizer->learn(context.get());
    }
    if (!calibration.tokens.empty()) {
        calibrate(*quantizer, context.get(), calibration);
    }

    ThreadPool pool(params.n_threads);
    size_t n_done = 0;
    for (size_t k = 0; k < files.size(); ++k) {
        const Questions & file = files[k];
        llama_memory_clear(llama_get_memory(context.get()), true);
        decode_shared(context.get(), file);
        Scores scores;
        for (const auto & group : file.groups) {
            const float * logits = decode_group(context.get(), file, group);
            if (quantizer) {
                quantizer->check();
            }
            add_scores(logits, vocab, file, group, pool, scores);
            n_done += group.end - group.begin;
            emit(Json("progress")
                     .add("done", static_cast<int64_t>(n_done))
                     .add("total", static_cast<int64_t>(n_items)));
        }
        const std::string name = prefix + "." + std::to_string(k);
        write_values(name + ".nll.f32", scores.nll);
        write_values(name + ".top.i32", scores.top);
    }
    emit(memory_event("end"));
    emit(Json("done"));
}

} // namespace

int main(int argc, char ** argv) {
    return run_program("edgeq-score", [&] {
        const Args args(argc, argv, {"model", "adapter", "activations", "calibration", "n-ctx", "items", "parallel",
                                     "ubatch", "threads", "out", "events"});
        open_events(args.get("events"));
        score(args);
    });
}
