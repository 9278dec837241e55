// The one clock of every event.
#pragma once

#include <cstdint>
#include <ctime>

namespace edgeq {

// Nanoseconds on the clock of Python's time.monotonic_ns(), so that events and sensor samples share a time axis:
// CLOCK_MONOTONIC on Linux; on macOS CPython reads mach_absolute_time, which is CLOCK_UPTIME_RAW.
inline int64_t now_ns() {
#ifdef __APPLE__
    return static_cast<int64_t>(clock_gettime_nsec_np(CLOCK_UPTIME_RAW));
#else
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<int64_t>(t.tv_sec) * 1000000000 + t.tv_nsec;
#endif
}

} // namespace edgeq
