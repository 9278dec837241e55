// edgeq-calibrate: statistics of activations from token ids: an importance matrix, equal to llama-imatrix's, and second
// moments.
//
//   edgeq-calibrate --model M --tokens T.i32 --n-ctx 512 --threads N --dataset NAME [--dataset ...] --events E
//                   [--out IMATRIX.gguf] [--moments MOMENTS.gguf --chunks N [--chunks ...] --validation NAME
//                   --form auto|full|blocks --max-bytes N --model-sha256 S]
//                   [--ubatch 512] [--parallel 1] [--flash-attn auto] [--gpu-layers 0]
//
// With --moments each dataset is a domain of --chunks chunks; the chunks that are left are the validation's. Where
// --max-bytes does not hold the moments of all inputs, the text is decoded again for each group of them.
#include "args.h"
#include "chunks.h"
#include "events.h"
#include "failure.h"
#include "imatrix.h"
#include "memory.h"
#include "model.h"
#include "moments.h"
#include "moments_file.h"

#include <algorithm>
#include <map>
#include <utility>

using namespace edgeq;

namespace {

// Hands the products of a graph to those who collect.
struct Listener {
    ImportanceCollector * importance = nullptr;
    MomentsCollector * moments = nullptr;
    bool may_stop = false;
    std::string problem;

    // Called from C code inside llama_decode: no exception may leave; false ends the graph's computation.
    static bool on_tensor(ggml_tensor * node, bool ask, void * listener) {
        auto * self = static_cast<Listener *>(listener);
        try {
            const bool is_weighed = self->importance != nullptr && ImportanceCollector::wants(node);
            const bool is_input = self->moments != nullptr && self->moments->wants(node);
            if (ask) {
                return is_weighed || is_input;
            }
            if (is_weighed) {
                self->importance->collect(node);
            }
            const bool go_on = !is_input || self->moments->collect(node);
            return go_on || self->importance != nullptr || !self->may_stop;
        } catch (const std::exception & error) {
            self->problem = error.what();
        }
        return false;
    }
};

// Chunks [first, last) of the tokens.
struct Range {
    int32_t first;
    int32_t last;
};

class Calibration {
public:
    explicit Calibration(const Args & args)
        : args_(args), path_(args.get("model")), n_ctx_(args.integer("n-ctx", 16)), // llama-imatrix's least rows
          n_threads_(args.integer("threads", 1)), parallel_(args.integer("parallel", 1, 1, MAX_PARALLEL)),
          chunks_(read_chunks(args.get("tokens"), n_ctx_)), datasets_(args.all("dataset")) {
        const int32_t n_ubatch = args.integer("ubatch", 512, 16, INT32_MAX);
        const int32_t n_gpu_layers = args.integer("gpu-layers", 0, -1, INT32_MAX);
        const llama_flash_attn_type flash_attn = parse_flash_attn(args.get("flash-attn", "auto"));
        if (datasets_.empty()) {
            throw UsageError("option --dataset is missing");
        }
        init_backends();
        model_ = load_model(path_, n_gpu_layers);
        check_vocabulary(chunks_, n_vocab(model_.get()), path_);
        emit(model_event(model_.get()));
        emit(memory_event("load"));
        // A graph that is split over devices goes on with its next split.
        listener_.may_stop = n_gpu_layers == 0;
        // All positions ask for logits: the last block only computes positions that someone asks for.
        llama_context_params params =
            chunk_context_params(n_ctx_, parallel_, n_ctx_, n_ubatch, n_threads_, flash_attn);
        params.cb_eval = Listener::on_tensor;
        params.cb_eval_user_data = &listener_;
        context_ = create_context(model_.get(), params, path_);
    }

    void run() {
        const bool matters = !args_.all("out").empty();
        if (matters) {
            listener_.importance = &importance_;
        }
        if (!args_.all("moments").empty()) {
            collect_moments();
        } else {
            n_total_ = chunks_.count();
            decode_range({0, chunks_.count()});
        }
        if (matters) {
            write_importance();
        }
        emit(memory_event("end"));
        emit(Json("done").add("n_entries", static_cast<int64_t>(importance_.entries().size())));
    }

private:
    void decode_range(Range range) {
        for (int32_t start = range.first; start < range.last; start += parallel_) {
            const int32_t n = std::min(parallel_, range.last - start);
            decode_group(start, n);
            n_done_ += n;
            emit(Json("progress").add("done", n_done_).add("total", n_total_));
        }
    }

    void decode_group(int32_t start, int32_t n) {
        decode_chunks(context_.get(), chunks_, start, n, 0, n_ctx_);
        if (!listener_.problem.empty()) {
            throw Failure("input", listener_.problem);
        }
    }

    void write_importance() {
        if (importance_.entries().empty()) {
            throw no_weights();
        }
        write_imatrix(args_.get("out"), importance_.entries(), datasets_, static_cast<uint32_t>(n_trained_on()),
                      static_cast<uint32_t>(n_ctx_));
    }

    Failure no_weights() const {
        return Failure("input", path_ + " has no weight matrices named blk.*, so there is nothing to collect");
    }

    int32_t n_trained_on() const { return domains_.empty() ? chunks_.count() : domains_.back().last; }

    void collect_moments() {
        read_domains();
        MomentsCollector collector(n_threads_);
        learn_inputs(collector);
        const std::string form = choose_form(collector);
        if (form == "blocks") {
            collector.keep_blocks();
        }
        const Range validation{n_trained_on(), chunks_.count()};
        const MomentsOrigin origin{datasets_, tokens({0, validation.first}), args_.get("validation"),
                                   tokens(validation), args_.get("model-sha256")};
        MomentsFile file(args_.get("moments"), origin, form, collector);
        const std::vector<Range> groups = group_inputs(collector);
        n_total_ = static_cast<int64_t>(groups.size()) * chunks_.count();
        for (const Range & group : groups) {
            collect_group(collector, group, domains_, "input.", file);
            listener_.importance = nullptr; // it has all that it needs from the first decoding
            collect_group(collector, group, {validation}, "validation.", file);
        }
        file.close();
    }

    void read_domains() {
        int32_t first = 0;
        for (const std::string & text : args_.all("chunks")) {
            const int32_t n = parse_integer(text, "--chunks", 1, INT32_MAX);
            domains_.push_back({first, first + n});
            first += n;
        }
        if (domains_.size() != datasets_.size() || first >= chunks_.count()) {
            throw UsageError("--chunks must be given for each --dataset and leave some for --validation");
        }
    }

    int64_t tokens(Range range) const { return static_cast<int64_t>(range.last - range.first) * n_ctx_; }

    void learn_inputs(MomentsCollector & collector) {
        ImportanceCollector * importance = std::exchange(listener_.importance, nullptr);
        listener_.moments = &collector;
        decode_group(0, 1);
        listener_.importance = importance;
        if (collector.inputs().empty()) {
            throw no_weights();
        }
        for (const std::string & name : collector.left_out()) {
            emit(Json("left_out").add("tensor", name));
        }
    }

    // "auto" is full where the moments and the validation's of each block fit into --max-bytes together.
    std::string choose_form(const MomentsCollector & collector) const {
        const std::string form = args_.get("form");
        if (form == "full" || form == "blocks") {
            return form;
        }
        if (form != "auto") {
            throw UsageError("--form must be auto, full or blocks, not '" + form + "'");
        }
        std::map<int, int64_t> block_bytes;
        for (size_t i = 0; i < collector.inputs().size(); ++i) {
            block_bytes[collector.block(static_cast<uint32_t>(i))] += 2 * collector.inputs()[i].n_bytes();
        }
        const int64_t most = args_.bytes("max-bytes");
        const bool fits = std::all_of(block_bytes.begin(), block_bytes.end(),
                                      [&](const auto & block) { return block.second <= most; });
        return fits ? "full" : "blocks";
    }

    // As many inputs at a time as --max-bytes holds, and at least one.
    std::vector<Range> group_inputs(const MomentsCollector & collector) const {
        const int64_t most = args_.bytes("max-bytes");
        std::vector<Range> groups;
        int64_t n_bytes = 0;
        for (int32_t i = 0; i < static_cast<int32_t>(collector.inputs().size()); ++i) {
            n_bytes += collector.inputs()[i].n_bytes();
            if (groups.empty() || n_bytes > most) {
                groups.push_back({i, i});
                n_bytes = collector.inputs()[i].n_bytes();
            }
            groups.back().last = i + 1;
        }
        return groups;
    }

    // Each domain counts the same, however many tokens it has.
    void collect_group(MomentsCollector & collector, Range group, const std::vector<Range> & domains,
                       const std::string & prefix, MomentsFile & file) {
        collector.begin(group.first, group.last);
        for (const Range & domain : domains) {
            collector.set_token_weight(1.0 / (static_cast<double>(domains.size()) * tokens(domain)));
            decode_range(domain);
        }
        for (int32_t i = group.first; i < group.last; ++i) {
            file.write(prefix + std::to_string(i), collector.mean(i));
        }
    }

    const Args & args_;
    const std::string path_;
    const int32_t n_ctx_;
    const int32_t n_threads_;
    const int32_t parallel_;
    const Chunks chunks_;
    const std::vector<std::string> datasets_;
    std::vector<Range> domains_; // of the second moments
    Listener listener_;          // outlives the context that calls it
    ImportanceCollector importance_;
    ModelPtr model_;
    ContextPtr context_;
    int64_t n_done_ = 0;
    int64_t n_total_ = 0;
};

} // namespace

int main(int argc, char ** argv) {
    return run_program("edgeq-calibrate", [&] {
        const Args args(argc, argv,
                        {"model", "tokens", "n-ctx", "threads", "ubatch", "parallel", "flash-attn", "gpu-layers",
                         "dataset", "out", "moments", "chunks", "validation", "form", "max-bytes", "model-sha256",
                         "events"});
        if (args.all("out").empty() && args.all("moments").empty()) {
            throw UsageError("option --out or --moments is missing");
        }
        open_events(args.get("events"));
        Calibration(args).run();
    });
}
