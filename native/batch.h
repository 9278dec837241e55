// Sequences of tokens that are decoded together.
#pragma once

#include "llama.h"

#include <cstdint>
#include <vector>

namespace edgeq {

// llama.cpp's batch under construction; what view() gives lives as long as this, until the next change.
class Batch {
public:
    void add(llama_token token, llama_pos position, llama_seq_id sequence, bool wants_logits);
    void clear();
    int32_t size() const { return static_cast<int32_t>(tokens_.size()); }
    llama_batch view();

private:
    std::vector<llama_token> tokens_;
    std::vector<llama_pos> positions_;
    std::vector<int32_t> n_sequences_;
    std::vector<llama_seq_id> sequences_;
    std::vector<llama_seq_id *> sequence_pointers_;
    std::vector<int8_t> wanted_;
};

// Decodes it. Returns rows of n_vocab logits, one for each token that wants them, in order; they live until the context
// decodes again.
float * decode(llama_context * context, Batch & batch);

// Puts BOS in front of a prompt where the vocabulary adds one and it is not there yet.
void add_bos(const llama_vocab * vocab, std::vector<llama_token> & prompt);

} // namespace edgeq
