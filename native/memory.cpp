#include "memory.h"

#ifdef __APPLE__
#include <mach/mach.h>
#else
#include <fstream>
#include <sstream>
#endif

#include <algorithm>
#include <cstdlib>
#include <memory>

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

int64_t mapped_bytes(const std::vector<std::string> &) { return UNKNOWN; }
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

// The file of a mapping, from the line that opens its entry in smaps: five fields, then the path.
std::string mapped_file(const std::string & line) {
    std::istringstream fields(line);
    std::string skipped;
    for (int i = 0; i < 5; ++i) {
        fields >> skipped;
    }
    std::string path;
    std::getline(fields >> std::ws, path);
    const std::string deleted = " (deleted)"; // replaced while it is mapped
    const bool is_deleted = path.size() > deleted.size() &&
                            path.compare(path.size() - deleted.size(), deleted.size(), deleted) == 0;
    return is_deleted ? path.substr(0, path.size() - deleted.size()) : path;
}

int64_t mapped_bytes(const std::vector<std::string> & files) {
    std::ifstream smaps("/proc/self/smaps");
    if (!smaps) {
        return UNKNOWN;
    }
    int64_t bytes = 0;
    bool counts = false;
    for (std::string line; std::getline(smaps, line);) {
        const size_t word = line.find(' ');
        if (word == std::string::npos || line[word - 1] != ':') { // fields are "Rss:   4 kB", addresses end in a digit
            counts = std::find(files.begin(), files.end(), mapped_file(line)) != files.end();
        } else if (counts && line.compare(0, word, "Rss:") == 0) {
            bytes += std::strtoll(line.c_str() + word, nullptr, 10) * 1024;
        }
    }
    return bytes;
}
#endif

std::string real_path(const std::string & path) {
    const std::unique_ptr<char, decltype(&std::free)> resolved(::realpath(path.c_str(), nullptr), std::free);
    return resolved ? resolved.get() : path;
}

void add_bytes(Json & event, const std::string & key, int64_t bytes) {
    bytes == UNKNOWN ? event.add_null(key) : event.add(key, bytes);
}

} // namespace

std::vector<std::string> model_files(const llama_model * model, const std::string & path) {
    char text[16] = "";
    llama_model_meta_val_str(model, "split.count", text, sizeof(text));
    const int n_parts = std::atoi(text); // 0 where there is no such key
    std::vector<char> name(path.size() + 1);
    if (n_parts < 2 || llama_split_prefix(name.data(), name.size(), path.c_str(), 0, n_parts) == 0) {
        return {real_path(path)};
    }
    const std::string prefix = name.data();
    std::vector<std::string> files;
    for (int i = 0; i < n_parts; ++i) {
        llama_split_path(name.data(), name.size(), prefix.c_str(), i, n_parts);
        files.push_back(real_path(name.data()));
    }
    return files;
}

Json memory_event(const std::string & at) {
    const ResidentMemory memory = resident_memory();
    Json event("memory");
    event.add("at", at);
    add_bytes(event, "rss_peak_bytes", memory.peak_bytes);
    add_bytes(event, "rss_bytes", memory.bytes);
    return event;
}

Json memory_event(const std::string & at, const std::vector<std::string> & files) {
    Json event = memory_event(at);
    add_bytes(event, "model_mapped_bytes", mapped_bytes(files));
    return event;
}

} // namespace edgeq
