#include "memory.h"

#ifdef __APPLE__
#include <mach/mach.h>
#else
#include <fstream>
#endif

namespace edgeq {

namespace {

constexpr int64_t UNKNOWN = -1;

struct ResidentMemory {
    int64_t peak_bytes = UNKNOWN;
    int64_t bytes = UNKNOWN;
};

#ifdef __APPLE__
ResidentMemory resident_memory() {
    mach_task_basic_info info{};
    mach_msg_type_number_t count = MACH_TASK_BASIC_INFO_COUNT;
    if (task_info(mach_task_self(), MACH_TASK_BASIC_INFO, reinterpret_cast<task_info_t>(&info), &count) !=
        KERN_SUCCESS) {
        return {};
    }
    return {static_cast<int64_t>(info.resident_size_max), static_cast<int64_t>(info.resident_size)};
}
#else
// Not getrusage: its ru_maxrss survives exec, so a fat parent's peak would be reported as ours.
ResidentMemory resident_memory() {
    ResidentMemory memory;
    std::ifstream status("/proc/self/status");
    std::string key;
    while (status >> key) {
        int64_t kib = 0;
        if (key == "VmHWM:" && status >> kib) {
            memory.peak_bytes = kib * 1024;
        } else if (key == "VmRSS:" && status >> kib) {
            memory.bytes = kib * 1024;
        }
        status.ignore(4096, '\n');
    }
    return memory;
}
#endif

void add_bytes(Json & event, const std::string & key, int64_t bytes) {
    bytes == UNKNOWN ? event.add_null(key) : event.add(key, bytes);
}

} // namespace

Json memory_event(const std::string & at) {
    const ResidentMemory memory = resident_memory();
    Json event("memory");
    event.add("at", at);
    add_bytes(event, "rss_peak_bytes", memory.peak_bytes);
    add_bytes(event, "rss_bytes", memory.bytes);
    return event;
}

} // namespace edgeq
