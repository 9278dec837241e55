#include "files.h"

#include "failure.h"

#include <cerrno>
#include <cstring>
#include <memory>

namespace edgeq {

std::vector<unsigned char> read_file(const std::string & path) {
    const std::unique_ptr<FILE, int (*)(FILE *)> file(std::fopen(path.c_str(), "rb"), std::fclose);
    if (!file) {
        throw Failure("input", "can't read " + path + ": " + std::strerror(errno));
    }
    std::vector<unsigned char> bytes;
    unsigned char block[65536];
    for (size_t n; (n = std::fread(block, 1, sizeof(block), file.get())) > 0;) {
        bytes.insert(bytes.end(), block, block + n);
    }
    if (std::ferror(file.get())) {
        throw Failure("input", "can't read " + path + ": " + std::strerror(errno));
    }
    return bytes;
}

void write_file(const std::string & path, const std::function<bool(FILE *)> & fill) {
    errno = 0;
    FILE * file = std::fopen(path.c_str(), "wb");
    const bool written = file != nullptr && fill(file) && std::fflush(file) == 0;
    const int error = errno; // of the step that failed, before fclose changes it
    const bool closed = file != nullptr && std::fclose(file) == 0;
    if (!written || !closed) {
        throw Failure("output", "can't write " + path + ": " + std::strerror(written ? errno : error));
    }
}

} // namespace edgeq
