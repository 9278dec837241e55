// Load that an external power meter can't miss, to align its clock with ours.
#pragma once

#include <cstdint>
#include <random>

namespace edgeq {

class Bursts {
public:
    // Threads that work in a burst; the unit of its length in seconds, 0 for no bursts at all.
    Bursts(int32_t n_threads, double unit_s) : n_threads_(n_threads), unit_s_(unit_s) {}

    // Four bursts of 1 to 4 units with pauses of 1 to 4 units before, between and after them. Each burst is a phase
    // "sync", numbered on from call to call. Lengths come from a fixed seed, and differ from call to call.
    void run();

private:
    double length_s();

    int32_t n_threads_;
    double unit_s_;
    int rep_ = 0;
    // Of 3000 seeds, one of those whose two groups resemble themselves least when shifted: by more than two units, a
    // group covers at most 37 % of itself.
    std::mt19937 random_{2867};
};

} // namespace edgeq
