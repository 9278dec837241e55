// edgeq-calibrate: computes an importance matrix, equal to llama-imatrix's, from token ids.
//
//   edgeq-calibrate --model M --tokens T.i32 --n-ctx 512 --threads N --dataset NAME [--dataset ...] --out O.gguf
//                   --events E [--ubatch 512] [--parallel 1] [--flash-attn auto] [--gpu-layers 0]
#include "args.h"
#include "chunks.h"
#include "events.h"
#include "failure.h"
#include "imatrix.h"
#include "memory.h"
#include "model.h"

#include <algorithm>

using namespace edgeq;

namespace {

void calibrate(const Args & args) {
    const std::string path = args.get("model");
    const std::string out = args.get("out");
    const int32_t n_ctx = args.integer("n-ctx", 16); // llama-imatrix's least number of rows
    const int32_t n_threads = args.integer("threads", 1);
    const int32_t n_ubatch = args.integer("ubatch", 512, 16, INT32_MAX);
    const int32_t n_gpu_layers = args.integer("gpu-layers", 0, -1, INT32_MAX);
    const llama_flash_attn_type flash_attn = parse_flash_attn(args.get("flash-attn", "auto"));
    const std::vector<std::string> datasets = args.all("dataset");
    if (datasets.empty()) {
        throw UsageError("option --dataset is missing");
    }
    const Chunks chunks = read_chunks(args.get("tokens"), n_ctx);
    const int32_t parallel = args.integer("parallel", 1, 1, MAX_PARALLEL);

    init_backends();
    const ModelPtr model = load_model(path, n_gpu_layers);
    check_vocabulary(chunks, n_vocab(model.get()), path);
    emit(model_event(model.get()));
    emit(memory_event("load"));

    ImportanceCollector collector;
    // All positions ask for logits: the last block only computes positions that someone asks for.
    llama_context_params params = chunk_context_params(n_ctx, parallel, n_ctx, n_ubatch, n_threads, flash_attn);
    params.cb_eval = ImportanceCollector::on_tensor;
    params.cb_eval_user_data = &collector;
    const ContextPtr context = create_context(model.get(), params, path);

    for (int32_t start = 0; start < chunks.count(); start += parallel) {
        const int32_t n = std::min(parallel, chunks.count() - start);
        decode_chunks(context.get(), chunks, start, n, 0, n_ctx);
        if (!collector.problem().empty()) {
            throw Failure("input", collector.problem());
        }
        emit(Json("progress").add("done", start + n).add("total", chunks.count()));
    }
    if (collector.entries().empty()) {
        throw Failure("input", path + " has no weight matrices named blk.*, so there is nothing to collect");
    }
    write_imatrix(out, collector.entries(), datasets, static_cast<uint32_t>(chunks.count()),
                  static_cast<uint32_t>(n_ctx));
    emit(memory_event("end"));
    emit(Json("done").add("n_entries", static_cast<int64_t>(collector.entries().size())));
}

} // namespace

int main(int argc, char ** argv) {
    return run_program("edgeq-calibrate", [&] {
        const Args args(argc, argv, {"model", "tokens", "n-ctx", "threads", "ubatch", "parallel", "flash-attn",
                                     "gpu-layers", "dataset", "out", "events"});
        open_events(args.get("events"));
        calibrate(args);
    });
}
