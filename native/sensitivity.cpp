// edgeq-sensitivity: what it costs in KL divergence to put other values in place of some of a model's weights.
//
//   edgeq-sensitivity --model M --tokens T.i32 --n-ctx 256 --first 32 --trials LIST --threads N --events E
//                     [--flash-attn auto] [--gpu-layers 0]
//
// The model stays loaded, its logits on all chunks are kept, and each trial of LIST costs one decoding, which begins at
// the first block that it changes. LIST has these lines:
//   base WEIGHT TYPE OFFSET PATH    values that all trials begin with, in place of the model's
//   trial                           begins one; an empty one says what the base itself costs
//   swap WEIGHT TYPE OFFSET PATH    part of it
// Each trial gives an event with its number and the mean KLD of each chunk over the positions from --first on.
#include "args.h"
#include "chunks.h"
#include "clock.h"
#include "events.h"
#include "failure.h"
#include "files.h"
#include "memory.h"
#include "model.h"
#include "pool.h"
#include "replay.h"
#include "scoring.h"
#include "weights.h"

#include <algorithm>
#include <cstring>
#include <sstream>

using namespace edgeq;

namespace {

using Swaps = std::vector<Swap>;

struct Trials {
    Swaps base;
    std::vector<Swaps> all;
};

Swap parse_swap(std::istringstream & line, const std::string & path) {
    Swap swap;
    std::string type;
    if (!(line >> swap.weight >> type >> swap.offset) || !std::getline(line >> std::ws, swap.path)) {
        throw Failure("input", path + " has a line that names no weight, type, offset and file");
    }
    swap.type = parse_type(type);
    return swap;
}

Trials read_trials(const std::string & path) {
    const std::vector<unsigned char> bytes = read_file(path);
    std::istringstream text(std::string(bytes.begin(), bytes.end()));
    Trials trials;
    for (std::string line; std::getline(text, line);) {
        std::istringstream words(line);
        std::string word;
        words >> word;
        if (word == "trial") {
            trials.all.emplace_back();
        } else if (word == "base" && trials.all.empty()) {
            trials.base.push_back(parse_swap(words, path));
        } else if (word == "swap" && !trials.all.empty()) {
            trials.all.back().push_back(parse_swap(words, path));
        } else {
            throw Failure("input", path + " has a line that can't be there: " + line);
        }
    }
    return trials;
}

// The first block that computes with one of these weights; what lies outside of the blocks is read from the start.
int32_t first_block(const Swaps & swaps, int32_t n_blocks) {
    int32_t first = n_blocks;
    for (const Swap & swap : swaps) {
        const bool in_block = swap.weight.rfind("blk.", 0) == 0;
        const bool at_end = swap.weight.rfind("output", 0) == 0;
        first = std::min(first, in_block ? std::atoi(swap.weight.c_str() + 4) : at_end ? n_blocks : 0);
    }
    return first;
}

class Sensitivity {
public:
    explicit Sensitivity(const Args & args)
        : chunks_(read_chunks(args.get("tokens"), args.integer("n-ctx", 2))),
          first_(args.integer("first", 0, chunks_.n_ctx - 2)), pool_(args.integer("threads", 1)) {
        const std::string path = args.get("model");
        init_backends();
        model_ = load_model(path, args.integer("gpu-layers", 0, -1, INT32_MAX), true);
        n_blocks_ = llama_model_n_layer(model_.get());
        n_vocab_ = n_vocab(model_.get());
        check_vocabulary(chunks_, n_vocab_, path);
        const int32_t n_tokens = chunks_.count() * chunks_.n_ctx;
        llama_context_params params =
            chunk_context_params(chunks_.n_ctx, chunks_.count(), per_chunk(), n_tokens, args.integer("threads", 1),
                                 parse_flash_attn(args.get("flash-attn", "auto")));
        replay_ = std::make_unique<Replay>(params, n_blocks_);
        context_ = create_context(model_.get(), params, path);
        emit(model_event(model_.get()));
        emit(memory_event("load"));
    }

    void run(const Trials & trials) {
        replay_->show([&](const ggml_tensor * node) { weights_.learn(node); }, [&] { decode_all(); });
        keep_reference();
        for (const Swap & swap : trials.base) {
            weights_.put(swap, pool_);
        }
        replay_->keep([&] { decode_all(); });
        const std::vector<double> base = divergences();
        replays_ = is_exact(base);
        const int64_t t0 = now_ns();
        decode_all();
        emit(Json("base").add("kld", base).add("replays", replays_).add("forward_ns", now_ns() - t0));
        for (size_t i = 0; i < trials.all.size(); ++i) {
            emit(Json("trial")
                     .add("index", static_cast<int64_t>(i))
                     .add("kld", trials.all[i].empty() ? base : measure(trials.all[i])));
        }
        emit(memory_event("end"));
    }

private:
    int32_t per_chunk() const { return chunks_.n_ctx - 1 - first_; }
    int32_t n_rows() const { return per_chunk() * chunks_.count(); }

    void decode_all() {
        logits_ = decode_chunks(context_.get(), chunks_, 0, chunks_.count(), first_, first_ + per_chunk());
    }

    void keep_reference() {
        reference_.assign(logits_, logits_ + static_cast<size_t>(n_rows()) * n_vocab_);
        softmaxes_.resize(n_rows());
        pool_.run(n_rows(), [&](int row) { softmaxes_[row] = softmax(reference_row(row), n_vocab_); });
    }

    const float * reference_row(int row) const { return reference_.data() + static_cast<size_t>(row) * n_vocab_; }

    // Mean KLD of each chunk against the model's own logits.
    std::vector<double> divergences() {
        std::vector<double> found(n_rows());
        pool_.run(n_rows(), [&](int row) {
            const float * x = logits_ + static_cast<size_t>(row) * n_vocab_;
            found[row] = score(reference_row(row), softmaxes_[row], x, n_vocab_, 0).kld;
        });
        std::vector<double> means(chunks_.count());
        for (int32_t row = 0; row < n_rows(); ++row) {
            means[row / per_chunk()] += found[row] / per_chunk();
        }
        return means;
    }

    // Whether beginning in the middle gives the very same values: an architecture may hand on more than one tensor.
    bool is_exact(const std::vector<double> & base) {
        if (n_blocks_ < 2) {
            return false;
        }
        replay_->from(n_blocks_ / 2, [&] { decode_all(); });
        return divergences() == base;
    }

    std::vector<double> measure(const Swaps & swaps) {
        std::vector<std::vector<uint8_t>> before;
        for (const Swap & swap : swaps) {
            before.push_back(weights_.bytes(swap.weight));
            weights_.put(swap, pool_);
        }
        replay_->from(replays_ ? first_block(swaps, n_blocks_) : 0, [&] { decode_all(); });
        std::vector<double> found = divergences();
        for (size_t i = swaps.size(); i-- > 0;) {
            weights_.put_back(swaps[i].weight, before[i]);
        }
        return found;
    }

    const Chunks chunks_;
    const int32_t first_;
    ThreadPool pool_;
    ModelPtr model_;
    std::unique_ptr<Replay> replay_; // outlives the context that calls it
    ContextPtr context_;
    Weights weights_;
    int32_t n_blocks_ = 0;
    int32_t n_vocab_ = 0;
    bool replays_ = false;
    const float * logits_ = nullptr;
    std::vector<float> reference_; // rows of n_vocab_ logits
    std::vector<Softmax> softmaxes_;
};

} // namespace

int main(int argc, char ** argv) {
    return run_program("edgeq-sensitivity", [&] {
        const Args args(argc, argv, {"model", "tokens", "n-ctx", "first", "trials", "threads", "flash-attn",
                                     "gpu-layers", "events"});
        open_events(args.get("events"));
        const Trials trials = read_trials(args.get("trials"));
        Sensitivity(args).run(trials);
        emit(Json("done"));
    });
}
