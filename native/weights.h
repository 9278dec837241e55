// The weight matrices of a loaded model, whose values can be put in place of each other's while it stays loaded.
#pragma once

#include "pool.h"

#include "ggml.h"
#include "llama.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace edgeq {

// Values for a weight: the bytes of the whole tensor as ggml type `type`, which lie in a file at `offset`.
struct Swap {
    std::string weight;
    ggml_type type;
    int64_t offset;
    std::string path;
};

class Weights {
public:
    // Adds the weights that a node of a graph reads.
    void learn(const ggml_tensor * node);

    // The weight's own type stays: values of another type are decoded and rounded to it. Failure "input" for a weight
    // that there is none of, "output" for a file that can't be read or is too short.
    void put(const Swap & swap, ThreadPool & pool);

    // The bytes of a weight as they are now, and putting them back.
    std::vector<uint8_t> bytes(const std::string & weight) const;
    void put_back(const std::string & weight, const std::vector<uint8_t> & bytes);

    size_t size() const { return weights_.size(); }

private:
    ggml_tensor * find(const std::string & weight) const;

    std::map<std::string, ggml_tensor *> weights_;
};

} // namespace edgeq
