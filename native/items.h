// Questions with their possible answers, as token ids.
#pragma once

#include "llama.h"

#include <cstdint>
#include <string>
#include <vector>

namespace edgeq {

// An answer is decoded as a sequence of its own, the prompt and all of its tokens but the last, which nothing follows.
struct Item {
    std::vector<llama_token> prompt;
    std::vector<std::vector<llama_token>> answers;

    int32_t n_prompt() const { return static_cast<int32_t>(prompt.size()); }
    int32_t n_answers() const { return static_cast<int32_t>(answers.size()); }
    // Predictions of all answers' tokens.
    int32_t n_outputs() const;
    // First position at which the answers' sequences are no longer one.
    int32_t fork(int32_t shared) const { return n_answers() > 1 ? n_prompt() - 1 : shared; }
    // Tokens to decode where the first `shared` ones have been.
    int32_t n_tokens(int32_t shared) const;
};

// Items [begin, end), which are decoded together, and what that takes.
struct Group {
    size_t begin = 0;
    size_t end = 0;
    int32_t n_sequences = 0;
    int32_t n_tokens = 0;
    int32_t n_outputs = 0;
};

// A file of items. shared: number of first tokens that all prompts have in common, their last tokens left out: those
// predict the answers.
struct Questions {
    std::vector<Item> items;
    int32_t shared = 0;
    std::vector<Group> groups;
};

// Reads little-endian int32: the number of items, and for each its number of prompt tokens, these tokens, its number of
// answers, and for each answer its number of tokens and these tokens. Prompts get their BOS by add_bos(). Groups are
// filled in order with up to `parallel` answers each, and have at least one item. Failure "input" where the file ends
// early or goes on, a prompt or an answer is empty, an id is not in the vocabulary, or an item is longer than the
// model's training context.
Questions read_questions(const std::string & path, const llama_model * model, int32_t parallel);

} // namespace edgeq
