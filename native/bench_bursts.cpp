#include "bench_bursts.h"

#include "bench_idle.h"
#include "bench_phase.h"
#include "clock.h"
#include "pool.h"

#include <numeric>

namespace edgeq {

namespace {

constexpr int BURSTS = 4;
constexpr int LANES = 64;
constexpr int ROUNDS = 10000; // between two looks at the clock: tens of microseconds

// Multiply-adds in vector registers, which draw more than a loop that only waits.
void compute_until(int64_t t_ns) {
    float lanes[LANES];
    std::iota(lanes, lanes + LANES, 0.0f);
    while (now_ns() < t_ns) {
        for (int round = 0; round < ROUNDS; ++round) {
            for (float & lane : lanes) {
                lane = lane * 0.5f + 1.0f;
            }
        }
        // Else the compiler would leave the work out.
        volatile float kept = std::accumulate(lanes, lanes + LANES, 0.0f);
        (void) kept;
    }
}

} // namespace

void Bursts::run() {
    if (unit_s_ == 0.0) {
        return;
    }
    ThreadPool pool(n_threads_);
    pause(length_s());
    for (int i = 0; i < BURSTS; ++i) {
        const auto length_ns = static_cast<int64_t>(length_s() * 1e9);
        Phase phase("sync", rep_++);
        const int64_t end_ns = now_ns() + length_ns;
        pool.run(n_threads_, [end_ns](int) { compute_until(end_ns); });
        phase.finish("", 0);
        pause(length_s());
    }
}

double Bursts::length_s() { return unit_s_ * (1.0 + 3.0 * static_cast<double>(random_()) / 4294967296.0); }

} // namespace edgeq
