#include "batch.h"

#include "failure.h"
#include "model.h"

namespace edgeq {

void Batch::add(llama_token token, llama_pos position, llama_seq_id sequence, bool wants_logits) {
    tokens_.push_back(token);
    positions_.push_back(position);
    n_sequences_.push_back(1);
    sequences_.push_back(sequence);
    wanted_.push_back(wants_logits ? 1 : 0);
}

void Batch::clear() { *this = Batch(); }

llama_batch Batch::view() {
    sequence_pointers_.clear();
    for (auto & sequence : sequences_) {
        sequence_pointers_.push_back(&sequence);
    }
    return {size(),
            tokens_.data(),
            nullptr,
            positions_.data(),
            n_sequences_.data(),
            sequence_pointers_.data(),
            wanted_.data()};
}

float * decode(llama_context * context, Batch & batch) {
    decode(context, batch.view());
    float * logits = llama_get_logits(context);
    if (logits == nullptr) {
        throw Failure("decode", "llama.cpp gave no logits");
    }
    return logits;
}

void add_bos(const llama_vocab * vocab, std::vector<llama_token> & prompt) {
    const llama_token bos = llama_vocab_bos(vocab);
    if (llama_vocab_get_add_bos(vocab) && (prompt.empty() || prompt.front() != bos)) {
        prompt.insert(prompt.begin(), bos);
    }
}

} // namespace edgeq
