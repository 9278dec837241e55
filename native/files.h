// Reading and writing whole files; every error of the system becomes a Failure with its path.
#pragma once

#include <cstdio>
#include <functional>
#include <string>
#include <vector>

namespace edgeq {

// Throws Failure "input".
std::vector<unsigned char> read_file(const std::string & path);

// Creates the file and lets `fill` write to it; `fill` returns false if it could not. Throws Failure "output", also
// when the disk turns out to be full only as the file is closed.
void write_file(const std::string & path, const std::function<bool(FILE *)> & fill);

} // namespace edgeq
