// edgeq-evaluate: scores a reference and any number of candidates on the same tokens, in one pass.
//
//   edgeq-evaluate --reference R [--candidate C ...] --tokens T.i32 --n-ctx 512 --first 256 --threads N
//                  --out PREFIX --events E [--ubatch 512] [--flash-attn auto] [--parallel 1] [--gpu-layers 0]
//
// Per group of chunks the reference is decoded, then every candidate against the logits that the reference's context
// still holds: no logits on disk and none copied. Writes little-endian arrays over the scored tokens in chunk order:
// PREFIX.reference.nll.f32, and PREFIX.K.nll.f32, PREFIX.K.kld.f32, PREFIX.K.top.u8 for candidate K.
#include "args.h"
#include "chunks.h"
#include "clock.h"
#include "events.h"
#include "failure.h"
#include "files.h"
#include "memory.h"
#include "model.h"
#include "pool.h"
#include "scoring.h"

#include <algorithm>

using namespace edgeq;

namespace {

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

// A model under evaluation. For the reference kld and same_top stay empty.
struct Evaluated {
    std::string path;
    ModelPtr model;
    ContextPtr context;
    std::vector<float> nll;
    std::vector<float> kld;
    std::vector<uint8_t> same_top;
};

struct Timing {
    int64_t load_ns = 0;
    int64_t forward_ns = 0;
    int64_t scoring_ns = 0;
};

Evaluated load(const std::string & path, int index, const Settings & settings, const Chunks & chunks) {
    Evaluated one;
    one.path = path;
    one.model = load_model(path, settings.n_gpu_layers);
    check_vocabulary(chunks, n_vocab(one.model.get()), path);
    one.context = create_context(one.model.get(),
                                 chunk_context_params(settings.n_ctx, settings.parallel, settings.scored_per_chunk(),
                                                      settings.n_ubatch, settings.n_threads, settings.flash_attn),
                                 path);
    emit(model_event(one.model.get()).add("index", index).add("path", path));
    return one;
}

// The reference first, then the candidates. All have one vocabulary size.
std::vector<Evaluated> load_all(const Args & args, const Settings & settings, const Chunks & chunks) {
    std::vector<Evaluated> models;
    models.push_back(load(args.get("reference"), -1, settings, chunks));
    for (const auto & path : args.all("candidate")) {
        const int index = static_cast<int>(models.size()) - 1;
        models.push_back(load(path, index, settings, chunks));
        const int32_t expected = n_vocab(models.front().model.get());
        const int32_t found = n_vocab(models.back().model.get());
        if (found != expected) {
            throw Failure("input", path + " has a vocabulary of " + std::to_string(found) + " tokens, the reference " +
                                       models.front().path + " one of " + std::to_string(expected));
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

// Decodes and scores chunks [start, start + n) with every model.
void evaluate_group(std::vector<Evaluated> & models, const Chunks & chunks, int32_t start, int32_t n,
                    const Settings & settings, ThreadPool & pool, Timing & timing) {
    const int32_t per_chunk = settings.scored_per_chunk();
    const int32_t n_rows = n * per_chunk;
    const int32_t vocab = n_vocab(models.front().model.get());
    const size_t offset = static_cast<size_t>(start) * per_chunk;
    const auto true_token = [&](int row) {
        return chunks.chunk(start + row / per_chunk)[settings.first + row % per_chunk + 1];
    };
    const float * reference_logits = nullptr;
    std::vector<Softmax> reference(n_rows);
    for (auto & one : models) {
        const int64_t t0 = now_ns();
        const float * logits =
            decode_chunks(one.context.get(), chunks, start, n, settings.first, settings.first + per_chunk);
        const int64_t t1 = now_ns();
        if (reference_logits == nullptr) {
            reference_logits = logits;
            pool.run(n_rows, [&](int row) {
                const float * x = logits + static_cast<size_t>(row) * vocab;
                reference[row] = softmax(x, vocab);
                one.nll[offset + row] = reference[row].nll(x, true_token(row));
            });
        } else {
            pool.run(n_rows, [&](int row) {
                const size_t at = static_cast<size_t>(row) * vocab;
                const Score s = score(reference_logits + at, reference[row], logits + at, vocab, true_token(row));
                one.nll[offset + row] = s.nll;
                one.kld[offset + row] = s.kld;
                one.same_top[offset + row] = s.same_top;
            });
        }
        timing.forward_ns += t1 - t0;
        timing.scoring_ns += now_ns() - t1;
    }
}

template <typename T> void write_array(const std::string & path, const std::vector<T> & values) {
    write_file(path, [&](FILE * file) {
        return std::fwrite(values.data(), sizeof(T), values.size(), file) == values.size();
    });
}

void write_all(const std::vector<Evaluated> & models, const std::string & prefix) {
    write_array(prefix + ".reference.nll.f32", models.front().nll);
    for (size_t k = 1; k < models.size(); ++k) {
        const std::string name = prefix + "." + std::to_string(k - 1);
        write_array(name + ".nll.f32", models[k].nll);
        write_array(name + ".kld.f32", models[k].kld);
        write_array(name + ".top.u8", models[k].same_top);
    }
}

void evaluate(const Args & args) {
    Settings settings{};
    settings.n_ctx = args.integer("n-ctx", 2);
    settings.first = args.integer("first", 0, settings.n_ctx - 2);
    settings.parallel = args.integer("parallel", 1, 1, MAX_PARALLEL);
    settings.n_ubatch = args.integer("ubatch", 512, 1, INT32_MAX);
    settings.n_threads = args.integer("threads", 1);
    settings.n_gpu_layers = args.integer("gpu-layers", 0, -1, INT32_MAX);
    settings.flash_attn = parse_flash_attn(args.get("flash-attn", "auto"));
    const std::string prefix = args.get("out");

    const Chunks chunks = read_chunks(args.get("tokens"), settings.n_ctx);
    settings.parallel = std::min(settings.parallel, chunks.count());

    Timing timing;
    const int64_t t0 = now_ns();
    init_backends();
    std::vector<Evaluated> models = load_all(args, settings, chunks);
    timing.load_ns = now_ns() - t0;
    emit(memory_event("load"));

    ThreadPool pool(settings.n_threads);
    const auto n_models = static_cast<int64_t>(models.size());
    for (int32_t start = 0; start < chunks.count(); start += settings.parallel) {
        const int32_t n = std::min(settings.parallel, chunks.count() - start);
        evaluate_group(models, chunks, start, n, settings, pool, timing);
        emit(Json("progress").add("done", (start + n) * n_models).add("total", chunks.count() * n_models));
    }
    write_all(models, prefix);
    emit(memory_event("end"));
    emit(Json("timing")
             .add("load_ns", timing.load_ns)
             .add("forward_ns", timing.forward_ns)
             .add("scoring_ns", timing.scoring_ns));
    emit(Json("done"));
}

} // namespace

int main(int argc, char ** argv) {
    return run_program("edgeq-evaluate", [&] {
        const Args args(argc, argv, {"reference", "candidate", "tokens", "n-ctx", "first", "threads", "ubatch",
                                     "flash-attn", "parallel", "gpu-layers", "out", "events"});
        open_events(args.get("events"));
        evaluate(args);
    });
}
