// Second moments of activations: for each distinct input of a block's weight matrices, E[x xᵀ] over tokens.
#pragma once

#include "syrk.h"

#include "ggml.h"

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace edgeq {

// Matrices that read the same tensor of the graph (q, k and v; gate and up) share its moments, which are taken at the
// first of them. Inputs are numbered in the order of the graph, which is that of the layers.
class MomentsCollector {
public:
    explicit MomentsCollector(int n_threads) : syrk_(n_threads) {}

    // Whether a node is to be computed for collect(). Until begin() is called, learns the inputs and wants none.
    bool wants(const ggml_tensor * node);
    // Takes the input of a node that it wants, when that is computed. Throws Failure "input". Returns false after the
    // last input of the group: what the graph computes afterwards is of no use.
    bool collect(const ggml_tensor * product);

    struct Weight {
        std::string name;
        uint32_t input;
    };
    const std::vector<Weight> & weights() const { return weights_; }
    const std::vector<Gram> & inputs() const { return inputs_; }
    // Weights whose inputs are not collected: experts, several matrices in one, products with something else than F32.
    const std::set<std::string> & left_out() const { return left_out_; }
    // The number of the block that the input belongs to.
    int block(uint32_t input) const;

    // Keeps blocks of MOMENTS_BLOCK columns of those inputs that consist of whole ones.
    void keep_blocks();
    // From now on collects inputs [first, last), from nothing.
    void begin(uint32_t first, uint32_t last);
    // What each token counts in what is decoded next.
    void set_token_weight(double weight) { token_weight_ = weight; }
    // The weighted mean of x xᵀ of an input of the group, as in Gram; ends its collecting.
    const std::vector<float> & mean(uint32_t input);

private:
    void learn(const ggml_tensor * node);

    struct Sums {
        std::vector<float> values;
        double weight = 0.0; // of all rows together
    };

    Syrk syrk_;
    bool learning_ = true;
    std::vector<Weight> weights_;
    std::vector<Gram> inputs_;
    std::set<std::string> left_out_;
    std::map<std::string, uint32_t> taken_at_; // the first weight of each input
    std::set<std::string> known_;              // names in weights_
    std::map<const ggml_tensor *, uint32_t> by_tensor_; // of the graph that is learned from
    std::map<uint32_t, Sums> group_;
    double token_weight_ = 0.0;
    std::vector<char> host_copy_; // of activations that lie on another device
};

constexpr int64_t MOMENTS_BLOCK = 256; // ggml's super-block

} // namespace edgeq
