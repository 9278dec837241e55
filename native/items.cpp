#include "items.h"

#include "batch.h"
#include "failure.h"
#include "files.h"
#include "model.h"

#include <algorithm>

namespace edgeq {

namespace {

// Bounds on what is decoded at once: it also sets the length of the cache that every token looks at, and logits.
constexpr int32_t MAX_TOKENS = 2048;
constexpr int32_t MAX_OUTPUTS = 512;

// The values of a file, taken one after the other.
class Reader {
public:
    Reader(const std::string & path, int32_t n_vocab) : path_(path), n_vocab_(n_vocab), values_(read_integers(path)) {}

    // A number of things that follow, each of at least one value.
    int32_t count(const std::string & what) {
        const int32_t n = next();
        if (n <= 0) {
            throw Failure("input", path_ + " has an item with " + std::to_string(n) + " " + what);
        }
        need(n);
        return n;
    }

    std::vector<llama_token> tokens(const std::string & what) {
        std::vector<llama_token> ids(count(what));
        for (auto & id : ids) {
            id = next();
            if (id < 0 || id >= n_vocab_) {
                throw Failure("input", path_ + " has the token id " + std::to_string(id) +
                                           ", and the model's vocabulary " + std::to_string(n_vocab_) + " tokens");
            }
        }
        return ids;
    }

    void finish() const {
        if (at_ != values_.size()) {
            throw Failure("input", path_ + " goes on behind its last item");
        }
    }

private:
    int32_t next() {
        need(1);
        return values_[at_++];
    }

    void need(int32_t n) const {
        if (values_.size() - at_ < static_cast<size_t>(n)) {
            throw Failure("input", path_ + " ends within an item");
        }
    }

    std::string path_;
    int32_t n_vocab_;
    std::vector<int32_t> values_;
    size_t at_ = 0;
};

void check_length(const std::string & path, size_t index, const Item & item, int32_t n_ctx_train) {
    for (const auto & answer : item.answers) {
        const size_t n = item.prompt.size() + answer.size();
        if (n > static_cast<size_t>(n_ctx_train)) {
            throw Failure("input", "item " + std::to_string(index) + " of " + path + " has " + std::to_string(n) +
                                       " tokens, and the model was trained on " + std::to_string(n_ctx_train));
        }
    }
}

std::vector<Item> read_items(const std::string & path, const llama_model * model) {
    Reader reader(path, n_vocab(model));
    std::vector<Item> items(reader.count("items"));
    for (auto & item : items) {
        item.prompt = reader.tokens("prompt tokens");
        add_bos(llama_model_get_vocab(model), item.prompt);
        item.answers.resize(reader.count("answers"));
        for (auto & answer : item.answers) {
            answer = reader.tokens("answer tokens");
        }
        check_length(path, &item - items.data(), item, llama_model_n_ctx_train(model));
    }
    reader.finish();
    return items;
}

int32_t shared_tokens(const std::vector<Item> & items) {
    const auto & first = items.front().prompt;
    int32_t shared = items.front().n_prompt() - 1;
    for (const auto & item : items) {
        const int32_t most = std::min(shared, item.n_prompt() - 1);
        shared = static_cast<int32_t>(
            std::mismatch(first.begin(), first.begin() + most, item.prompt.begin()).first - first.begin());
    }
    return shared;
}

std::vector<Group> group_items(const std::vector<Item> & items, int32_t shared, int32_t parallel) {
    std::vector<Group> groups(1);
    for (size_t i = 0; i < items.size(); ++i) {
        const int32_t n_sequences = items[i].n_answers();
        const int32_t n_tokens = items[i].n_tokens(shared);
        const int32_t n_outputs = items[i].n_outputs();
        const Group & last = groups.back();
        const bool fits = last.n_sequences + n_sequences <= parallel && last.n_tokens + n_tokens <= MAX_TOKENS &&
                          last.n_outputs + n_outputs <= MAX_OUTPUTS;
        if (!fits && last.begin < last.end) {
            groups.push_back({i, i});
        }
        Group & group = groups.back();
        group.end = i + 1;
        group.n_sequences += n_sequences;
        group.n_tokens += n_tokens;
        group.n_outputs += n_outputs;
    }
    return groups;
}

} // namespace

int32_t Item::n_outputs() const {
    size_t n = 0;
    for (const auto & answer : answers) {
        n += answer.size();
    }
    return static_cast<int32_t>(n);
}

int32_t Item::n_tokens(int32_t shared) const {
    const int32_t begin = fork(shared);
    // Each sequence: the rest of the prompt, and the answer without its last token.
    return begin - shared + n_answers() * (n_prompt() - begin - 1) + n_outputs();
}

Questions read_questions(const std::string & path, const llama_model * model, int32_t parallel) {
    Questions questions;
    questions.items = read_items(path, model);
    questions.shared = shared_tokens(questions.items);
    questions.groups = group_items(questions.items, questions.shared, parallel);
    return questions;
}

} // namespace edgeq
