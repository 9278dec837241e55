// How often a test is run: until the machine is warm, then until there is enough to measure.
#pragma once

#include "bench_runner.h"

#include <cstdint>

namespace edgeq {

// Warm-ups, as phases 0, 1, 2 ..., until the spread of the last three is at most 2 % of their median: at least 3, at
// most 10.
void warm_up(Runner & runner);

// Repetitions back to back: n_reps of them, and more until together they last min_window_s, but at most 10,000.
void repeat(Runner & runner, int32_t n_reps, double min_window_s);

} // namespace edgeq
