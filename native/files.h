// Reading and writing whole files; every error of the system becomes a Failure with its path.
#pragma once

#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

namespace edgeq {

// Throws Failure "input".
std::vector<unsigned char> read_file(const std::string & path);

// The whole little-endian int32 values of a file. Throws Failure "input" where bytes are left over, too.
std::vector<int32_t> read_integers(const std::string & path);

// Creates the file and lets `fill` write to it; `fill` returns false if it could not. Throws Failure "output", also
// when the disk turns out to be full only as the file is closed.
void write_file(const std::string & path, const std::function<bool(FILE *)> & fill);

// Writes an array of numbers.
template <typename T> void write_values(const std::string & path, const std::vector<T> & values) {
    write_file(path, [&](FILE * file) {
        return std::fwrite(values.data(), sizeof(T), values.size(), file) == values.size();
    });
}

} // namespace edgeq
