// Command lines of the form `--name value`, and nothing else: the caller is edgeq, not a person.
#pragma once

#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace edgeq {

// A wrong command line: the program prints it and exits with status 2.
struct UsageError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

class Args {
public:
    // Reads argv. `known` lists every option the program has, without dashes; any other one is a UsageError.
    Args(int argc, char ** argv, const std::vector<std::string> & known);

    // Value of an option that must be given exactly once.
    std::string get(const std::string & name) const;
    // Value of an option given at most once.
    std::string get(const std::string & name, const std::string & fallback) const;
    // All values of an option that may be repeated, in order.
    std::vector<std::string> all(const std::string & name) const;
    // Values of a repeatable option of the form I=VALUE, by the index I in [0, n), each at most once.
    std::map<int32_t, std::string> indexed(const std::string & name, int32_t n) const;

    // Whole number in [low, high].
    int32_t integer(const std::string & name, int32_t low, int32_t high = INT32_MAX) const;
    int32_t integer(const std::string & name, int32_t fallback, int32_t low, int32_t high) const;

    // A number of bytes, at least 1.
    int64_t bytes(const std::string & name) const;

    // Seconds from 0 to a day, 0 where the option is not given.
    double seconds(const std::string & name) const;

private:
    std::map<std::string, std::vector<std::string>> values_;
};

// Parses a whole number in [low, high]; `what` names it in the UsageError.
int32_t parse_integer(const std::string & text, const std::string & what, int32_t low, int32_t high);

} // namespace edgeq
