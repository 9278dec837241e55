#include "replay.h"

#include "failure.h"

#include "ggml-backend.h"

#include <cstdlib>
#include <cstring>

namespace edgeq {

namespace {
constexpr char BLOCK_OUTPUT[] = "l_out-"; // llama.cpp's name in all its architectures
} // namespace

Replay::Replay(llama_context_params & params, int32_t n_blocks) : outputs_(n_blocks) {
    params.cb_eval = on_node;
    params.cb_eval_user_data = this;
}

void Replay::keep(const std::function<void()> & decode) {
    stage_ = Stage::KEEPING;
    decode();
    stage_ = Stage::PLAIN;
}

void Replay::show(const std::function<void(const ggml_tensor *)> & look, const std::function<void()> & decode) {
    look_ = look;
    stage_ = Stage::SHOWING;
    decode();
    stage_ = Stage::PLAIN;
}

void Replay::from(int32_t block, const std::function<void()> & decode) {
    if (block == 0) {
        decode();
        return;
    }
    begin_ = block;
    stage_ = Stage::SKIPPING;
    decode();
    const bool complete = stage_ == Stage::PLAIN;
    stage_ = Stage::PLAIN;
    for (const auto & [node, op] : skipped_) { // llama.cpp may use the graph again
        node->op = op;
    }
    skipped_.clear();
    if (!problem_.empty() || !complete) {
        throw Failure("decode", problem_.empty() ? "the graph has no output of block " + std::to_string(block - 1)
                                                 : problem_);
    }
}

// Called from C code inside llama_decode: no exception may leave. The scheduler asks for each node in order, and
// computes those that it has asked for later: a node that becomes GGML_OP_NONE here is not computed.
bool Replay::on_node(ggml_tensor * node, bool ask, void * replay) {
    auto * self = static_cast<Replay *>(replay);
    try {
        switch (self->stage_) {
        case Stage::PLAIN:
            return false;
        case Stage::SHOWING:
            self->look_(node);
            return false;
        case Stage::SKIPPING:
            self->skip(node);
            return false;
        case Stage::KEEPING:
            break;
        }
        const int32_t block = self->block_of_output(node);
        if (!ask && block >= 0) {
            self->outputs_[block].resize(ggml_nbytes(node));
            ggml_backend_tensor_get(node, self->outputs_[block].data(), 0, ggml_nbytes(node));
        }
        return !ask || block >= 0;
    } catch (const std::exception & error) {
        self->problem_ = error.what();
        return false;
    }
}

void Replay::skip(ggml_tensor * node) {
    skipped_.emplace_back(node, node->op);
    node->op = GGML_OP_NONE;
    if (block_of_output(node) == begin_ - 1) {
        const auto & kept = outputs_[begin_ - 1];
        if (kept.size() != ggml_nbytes(node)) {
            problem_ = std::string("what was kept of ") + node->name + " has another size";
            return;
        }
        ggml_backend_tensor_set(node, kept.data(), 0, kept.size());
        stage_ = Stage::PLAIN;
    }
}

// -1 for any other node.
int32_t Replay::block_of_output(const ggml_tensor * node) const {
    constexpr size_t n = sizeof(BLOCK_OUTPUT) - 1;
    if (std::strncmp(node->name, BLOCK_OUTPUT, n) != 0) {
        return -1;
    }
    const long block = std::strtol(node->name + n, nullptr, 10);
    return block >= 0 && block < static_cast<long>(outputs_.size()) ? static_cast<int32_t>(block) : -1;
}

} // namespace edgeq
