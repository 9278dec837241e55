#include "bench_idle.h"

#include "bench_phase.h"

#include <chrono>
#include <thread>

namespace edgeq {

namespace {

// OpenMP's threads outlive ggml's pool and spin after their last work: GNU's for milliseconds, LLVM's for 0.2 s
// (KMP_BLOCKTIME).
constexpr double SPIN_S = 0.3;

} // namespace

void pause(double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }

void rest(double seconds, int rep) {
    if (seconds == 0.0) {
        return;
    }
    pause(SPIN_S);
    Phase phase("loaded", rep);
    pause(seconds);
    phase.finish("", 0);
}

} // namespace edgeq
