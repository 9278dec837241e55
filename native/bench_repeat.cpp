#include "bench_repeat.h"

#include <algorithm>
#include <vector>

namespace edgeq {

namespace {

constexpr size_t AGREEING = 3;
constexpr size_t MOST_WARMUPS = 10;
constexpr int32_t MOST_REPS = 10000;

bool have_settled(const std::vector<int64_t> & times_ns) {
    if (times_ns.size() < AGREEING) {
        return false;
    }
    std::vector<int64_t> last(times_ns.end() - AGREEING, times_ns.end());
    std::sort(last.begin(), last.end());
    return (last.back() - last.front()) * 50 <= last[AGREEING / 2];
}

} // namespace

void warm_up(Runner & runner) {
    std::vector<int64_t> times_ns;
    while (times_ns.size() < MOST_WARMUPS && !have_settled(times_ns)) {
        times_ns.push_back(runner.warm_up(static_cast<int>(times_ns.size())));
    }
}

void repeat(Runner & runner, int32_t n_reps, double min_window_s) {
    const double min_window_ns = min_window_s * 1e9;
    double total_ns = 0.0;
    for (int32_t rep = 0; rep < n_reps || (rep < MOST_REPS && total_ns < min_window_ns); ++rep) {
        total_ns += static_cast<double>(runner.measure(rep));
    }
}

} // namespace edgeq
