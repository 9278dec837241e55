// Decoding the same tokens again and again, each time from the first block in which something has changed.
#pragma once

#include "weights.h"

#include "ggml.h"
#include "llama.h"

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace edgeq {

// What each block hands to the next is kept from one decoding; later ones compute no node before a block that they
// begin at, and get its input from there. The tokens must be the same each time and make one ubatch.
class Replay {
public:
    // Sets cb_eval for a context to be made, which must not outlive this.
    Replay(llama_context_params & params, int32_t n_blocks);
    Replay(const Replay &) = delete;
    Replay & operator=(const Replay &) = delete;

    // Decodes everything and keeps what the blocks hand on.
    void keep(const std::function<void()> & decode);
    // Decodes beginning at a block: 0 for everything, the number of blocks for what comes after the last one.
    void from(int32_t block, const std::function<void()> & decode);
    // Decodes everything and shows each node.
    void show(const std::function<void(const ggml_tensor *)> & look, const std::function<void()> & decode);

private:
    enum class Stage { PLAIN, SHOWING, KEEPING, SKIPPING };

    static bool on_node(ggml_tensor * node, bool ask, void * replay);
    void skip(ggml_tensor * node);
    int32_t block_of_output(const ggml_tensor * node) const;

    Stage stage_ = Stage::PLAIN;
    int32_t begin_ = 0; // the block to begin at, while skipping
    std::vector<std::vector<uint8_t>> outputs_;
    std::vector<std::pair<ggml_tensor *, ggml_op>> skipped_; // with the operation to put back
    std::function<void(const ggml_tensor *)> look_;
    std::string problem_;
};

} // namespace edgeq
