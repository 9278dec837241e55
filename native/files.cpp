#include "files.h"

#include "failure.h"

#include <cerrno>
#include <cstring>
#include <memory>

namespace edgeq {

namespace {

int32_t from_little_endian(const unsigned char * bytes) {
    return static_cast<int32_t>(static_cast<uint32_t>(bytes[0]) | static_cast<uint32_t>(bytes[1]) << 8 |
                                static_cast<uint32_t>(bytes[2]) << 16 | static_cast<uint32_t>(bytes[3]) << 24);
}

} // namespace

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

std::vector<int32_t> read_integers(const std::string & path) {
    const std::vector<unsigned char> bytes = read_file(path);
    if (bytes.size() % sizeof(int32_t) != 0) {
        throw Failure("input", path + " has " + std::to_string(bytes.size()) +
                                   " bytes, which is not a whole number of int32 values");
    }
    std::vector<int32_t> values(bytes.size() / sizeof(int32_t));
    for (size_t i = 0; i < values.size(); ++i) {
        values[i] = from_little_endian(bytes.data() + i * sizeof(int32_t));
    }
    return values;
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
