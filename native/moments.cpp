#include "moments.h"

#include "failure.h"
#include "host_data.h"
#include "tensor_name.h"

#include <cmath>
#include <cstdlib>

namespace edgeq {

namespace {

// One matrix of the model's own, and not a part of one.
bool is_matrix(const ggml_tensor * weight) {
    return weight->ne[2] == 1 && weight->ne[3] == 1 && weight->view_src == nullptr;
}

bool is_row_of_floats(const ggml_tensor * t) { return t->type == GGML_TYPE_F32 && t->nb[0] == sizeof(float); }

} // namespace

void MomentsCollector::learn(const ggml_tensor * node) {
    if ((node->op != GGML_OP_MUL_MAT && node->op != GGML_OP_MUL_MAT_ID) || !is_block_weight(node->src[0])) {
        return;
    }
    const std::string name = plain_name(node->src[0]);
    if (node->op == GGML_OP_MUL_MAT_ID || !is_matrix(node->src[0]) || !is_row_of_floats(node->src[1])) {
        left_out_.insert(name);
        return;
    }
    if (!known_.insert(name).second) {
        return; // a second ubatch, or a block that the graph goes through more than once
    }
    const auto [found, is_new] = by_tensor_.emplace(node->src[1], static_cast<uint32_t>(inputs_.size()));
    if (is_new) {
        inputs_.push_back({node->src[1]->ne[0], node->src[1]->ne[0]});
        taken_at_[name] = found->second;
    }
    weights_.push_back({name, found->second});
}

bool MomentsCollector::wants(const ggml_tensor * node) {
    if (learning_) {
        learn(node);
        return false;
    }
    if (node->op != GGML_OP_MUL_MAT) {
        return false;
    }
    const auto found = taken_at_.find(plain_name(node->src[0]));
    return found != taken_at_.end() && group_.count(found->second) > 0;
}

bool MomentsCollector::collect(const ggml_tensor * product) {
    const ggml_tensor * x = product->src[1];
    const std::string name = plain_name(product->src[0]);
    const uint32_t input = taken_at_.at(name);
    const Gram & gram = inputs_[input];
    Sums & sums = group_.at(input);
    if (x->ne[0] != gram.n_columns || !is_row_of_floats(x)) {
        throw Failure("input", "activations of " + name + " changed their shape");
    }
    const char * data = host_data(x, host_copy_);
    for (int64_t i3 = 0; i3 < x->ne[3]; ++i3) {
        for (int64_t i2 = 0; i2 < x->ne[2]; ++i2) {
            const Rows rows{data + i2 * x->nb[2] + i3 * x->nb[3], x->nb[1], x->ne[1]};
            syrk_.add(gram, rows, static_cast<float>(token_weight_), sums.values.data());
        }
    }
    sums.weight += token_weight_ * static_cast<double>(ggml_nrows(x));
    for (int64_t i = 0; i < gram.n_columns; ++i) {
        if (!std::isfinite(sums.values[i * gram.width + i % gram.width])) {
            throw Failure("input", "activations of " + name + " are not finite: the model gives no usable statistics");
        }
    }
    return input != group_.rbegin()->first;
}

int MomentsCollector::block(uint32_t input) const {
    for (const Weight & weight : weights_) {
        if (weight.input == input) {
            return std::atoi(weight.name.c_str() + 4); // after "blk."
        }
    }
    return -1;
}

void MomentsCollector::keep_blocks() {
    for (Gram & gram : inputs_) {
        gram.width = gram.n_columns % MOMENTS_BLOCK == 0 ? MOMENTS_BLOCK : gram.n_columns;
    }
}

void MomentsCollector::begin(uint32_t first, uint32_t last) {
    learning_ = false;
    group_.clear();
    for (uint32_t input = first; input < last; ++input) {
        group_[input].values.resize(inputs_[input].n_values());
    }
}

// A graph may show a weight other rows than one for each token: the mean is over those that it shows.
const std::vector<float> & MomentsCollector::mean(uint32_t input) {
    Sums & sums = group_.at(input);
    syrk_.finish(inputs_[input], static_cast<float>(1.0 / sums.weight), sums.values.data());
    return sums.values;
}

} // namespace edgeq
