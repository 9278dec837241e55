// The importance matrix: per input column of every weight matrix, the sum of squared activations.
#pragma once

#include "ggml.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace edgeq {

// Statistics of one weight tensor. A tensor of experts has one matrix and one count per expert, any other one count.
struct ImportanceEntry {
    std::vector<float> sums;     // [n_mat][n_columns], sum over rows of x * x
    std::vector<int64_t> counts; // rows that went into it
};

// Adds up what llama-imatrix adds up of a context's matrix multiplications, in the same order, so that the values are
// the same to the last bit.
class ImportanceCollector {
public:
    static bool wants(const ggml_tensor * node);
    // Takes the input of a node that it wants, when that is computed. Throws Failure "input".
    void collect(const ggml_tensor * product);

    const std::map<std::string, ImportanceEntry> & entries() const { return entries_; }

private:
    void collect_dense(const ggml_tensor * product, const std::string & name, const char * activations);
    void collect_experts(const ggml_tensor * product, const std::string & name, const char * activations);
    ImportanceEntry * entry(const std::string & name, size_t n_sums, size_t n_counts);
    void check_finite(const std::string & name, const ImportanceEntry & entry);

    std::map<std::string, ImportanceEntry> entries_; // in the order of names, which is the order in the file
    std::vector<char> host_copy_;                    // of activations that lie on another device
};

// Writes llama.cpp's GGUF form of an importance matrix. Throws Failure "output".
void write_imatrix(const std::string & path, const std::map<std::string, ImportanceEntry> & entries,
                   const std::vector<std::string> & datasets, uint32_t n_chunks, uint32_t chunk_size);

} // namespace edgeq
