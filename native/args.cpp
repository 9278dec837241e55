#include "args.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>

namespace edgeq {

namespace {

constexpr double DAY_S = 86400.0;

int64_t parse_whole(const std::string & text, const std::string & what, int64_t low, int64_t high, bool open) {
    char * end = nullptr;
    errno = 0;
    const long long value = std::strtoll(text.c_str(), &end, 10);
    if (text.empty() || *end != '\0' || errno != 0 || value < low || value > high) {
        const std::string range = open ? "of at least " + std::to_string(low)
                                       : "from " + std::to_string(low) + " to " + std::to_string(high);
        throw UsageError(what + " must be a whole number " + range + ", not '" + text + "'");
    }
    return value;
}

} // namespace

Args::Args(int argc, char ** argv, const std::vector<std::string> & known) {
    for (int i = 1; i < argc; i += 2) {
        const std::string option = argv[i];
        if (option.rfind("--", 0) != 0 || std::find(known.begin(), known.end(), option.substr(2)) == known.end()) {
            std::string names;
            for (const auto & name : known) {
                names += " --" + name;
            }
            throw UsageError("unknown option '" + option + "'; options:" + names);
        }
        if (i + 1 == argc) {
            throw UsageError("option " + option + " needs a value");
        }
        values_[option.substr(2)].push_back(argv[i + 1]);
    }
}

std::string Args::get(const std::string & name) const {
    const auto values = all(name);
    if (values.empty()) {
        throw UsageError("option --" + name + " is missing");
    }
    if (values.size() > 1) {
        throw UsageError("option --" + name + " is given more than once");
    }
    return values.front();
}

std::string Args::get(const std::string & name, const std::string & fallback) const {
    return values_.count(name) ? get(name) : fallback;
}

std::vector<std::string> Args::all(const std::string & name) const {
    const auto found = values_.find(name);
    return found == values_.end() ? std::vector<std::string>{} : found->second;
}

std::map<int32_t, std::string> Args::indexed(const std::string & name, int32_t n) const {
    std::map<int32_t, std::string> found;
    for (const auto & text : all(name)) {
        const size_t sign = text.find('=');
        if (n == 0 || sign == std::string::npos) {
            throw UsageError("--" + name + " must be INDEX=VALUE of a candidate, not '" + text + "'");
        }
        const int32_t index = parse_integer(text.substr(0, sign), "the index of --" + name, 0, n - 1);
        if (!found.emplace(index, text.substr(sign + 1)).second) {
            throw UsageError("--" + name + " is given more than once for " + std::to_string(index));
        }
    }
    return found;
}

int32_t Args::integer(const std::string & name, int32_t low, int32_t high) const {
    return parse_integer(get(name), "--" + name, low, high);
}

int32_t Args::integer(const std::string & name, int32_t fallback, int32_t low, int32_t high) const {
    return values_.count(name) ? integer(name, low, high) : fallback;
}

int64_t Args::bytes(const std::string & name) const {
    return parse_whole(get(name), "--" + name, 1, INT64_MAX, true);
}

double Args::seconds(const std::string & name) const {
    const std::string text = get(name, "0");
    char * end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    if (text.empty() || *end != '\0' || !(value >= 0.0 && value <= DAY_S)) { // not a number compares false
        throw UsageError("--" + name + " must be a number of seconds from 0 to 86400, not '" + text + "'");
    }
    return value;
}

int32_t parse_integer(const std::string & text, const std::string & what, int32_t low, int32_t high) {
    return static_cast<int32_t>(parse_whole(text, what, low, high, high == INT32_MAX));
}

} // namespace edgeq
