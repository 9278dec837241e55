// edgeq-evaluate: scores a reference and any number of candidates on the same tokens, in one pass.
//
//   edgeq-evaluate --reference R [--candidate C ...] --tokens T.i32 --n-ctx 512 --first 256 --threads N
//                  --out PREFIX --events E [--ubatch 512] [--flash-attn auto] [--parallel 1] [--gpu-layers 0]
//                  [--adapter K=A ...] [--activations K=MODE ...] [--ubatch-of K=N ...] [--calibration T.i32]
//
// The last line is about candidate K, from 0: an adapter that is loaded with it, fake quantization of its activations
// (see activations.h; static-tensor takes its ranges from the chunks of --calibration), its own --ubatch.
//
// Per group of chunks the reference is decoded, then every candidate against the logits that the reference's context
// still holds: no logits on disk and none copied. Writes little-endian arrays over the scored tokens in chunk order:
// PREFIX.reference.nll.f32, and PREFIX.K.nll.f32, PREFIX.K.kld.f32, PREFIX.K.top.u8 for candidate K.
#include "args.h"
#include "chunks.h"
#include "clock.h"
#include "evaluate_models.h"
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

struct Timing {
    int64_t load_ns = 0;
    int64_t scoring_ns = 0;
};

// Chunks decoded so far, over all models.
class Progress {
public:
    explicit Progress(int64_t total) : total_(total) {}
    void add(int32_t n) {
        done_ += n;
        emit(Json("progress").add("done", done_).add("total", total_));
    }

private:
    int64_t done_ = 0;
    const int64_t total_;
};

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
        const float * logits = decode(one, settings, chunks, start, n);
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
        one.forward_ns += t1 - t0;
        timing.scoring_ns += now_ns() - t1;
    }
}

void write_all(const std::vector<Evaluated> & models, const std::string & prefix) {
    write_values(prefix + ".reference.nll.f32", models.front().nll);
    for (size_t k = 1; k < models.size(); ++k) {
        const std::string name = prefix + "." + std::to_string(k - 1);
        write_values(name + ".nll.f32", models[k].nll);
        write_values(name + ".kld.f32", models[k].kld);
        write_values(name + ".top.u8", models[k].same_top);
    }
}

void emit_times(const std::vector<Evaluated> & models, const Timing & timing) {
    int64_t forward_ns = 0;
    for (size_t i = 0; i < models.size(); ++i) {
        forward_ns += models[i].forward_ns;
        emit(Json("model_time").add("index", static_cast<int>(i) - 1).add("forward_ns", models[i].forward_ns));
    }
    emit(Json("timing")
             .add("load_ns", timing.load_ns)
             .add("forward_ns", forward_ns)
             .add("scoring_ns", timing.scoring_ns));
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

    const std::vector<Runs> all = parse_models(args, settings);
    const auto n_static = std::count_if(all.begin(), all.end(), [](const Runs & r) { return r.needs_calibration(); });
    Chunks calibration;
    if (n_static > 0) {
        calibration = read_chunks(args.get("calibration"), settings.n_ctx);
    }
    const Chunks chunks = read_chunks(args.get("tokens"), settings.n_ctx);
    settings.parallel = std::min(settings.parallel, chunks.count());
    const auto n_models = static_cast<int32_t>(all.size());
    const int64_t n_calibrated = n_static > 0 ? n_static * calibration.count() : 0;
    Progress progress(static_cast<int64_t>(n_models) * chunks.count() + n_calibrated);

    Timing timing;
    const int64_t t0 = now_ns();
    init_backends();
    std::vector<Evaluated> models = load_all(all, settings, chunks);
    for (auto & one : models) {
        if (one.runs.needs_calibration()) {
            calibrate(one, settings, calibration, [&](int32_t n) { progress.add(n); });
        }
    }
    timing.load_ns = now_ns() - t0;
    emit(memory_event("load"));

    ThreadPool pool(settings.n_threads);
    for (int32_t start = 0; start < chunks.count(); start += settings.parallel) {
        const int32_t n = std::min(settings.parallel, chunks.count() - start);
        evaluate_group(models, chunks, start, n, settings, pool, timing);
        progress.add(n * n_models);
    }
    write_all(models, prefix);
    emit(memory_event("end"));
    emit_times(models, timing);
    emit(Json("done"));
}

} // namespace

int main(int argc, char ** argv) {
    return run_program("edgeq-evaluate", [&] {
        const Args args(argc, argv, {"reference", "candidate", "adapter", "activations", "ubatch-of", "calibration",
                                     "tokens", "n-ctx", "first", "threads", "ubatch", "flash-attn", "parallel",
                                     "gpu-layers", "out", "events"});
        open_events(args.get("events"));
        evaluate(args);
    });
}
