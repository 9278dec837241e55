// A stretch of time with its name: what edgeq-bench's events are about.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace edgeq {

// A phase under way: its times are kept and only written down by finish(), after the clock was read.
class Phase {
public:
    Phase(std::string kind, int rep);

    // Makes room for the times of this many tokens, so that token_ready() doesn't allocate.
    void reserve(int32_t n_tokens) { token_ns_.reserve(n_tokens); }
    void token_ready();

    // {"event":"phase","kind","test","rep","n_tokens","t0_ns","t1_ns"}, and "token_ns" for decode; test "": null.
    // Returns how long the phase took, in nanoseconds.
    int64_t finish(const std::string & test, int32_t n_tokens);

private:
    std::string kind_;
    int rep_;
    std::vector<int64_t> token_ns_;
    int64_t t0_ns_;
};

} // namespace edgeq
