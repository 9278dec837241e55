// The file of second moments: GGUF whose general.type is "second-moments".
//
// Of each input i the tensors input.{i} and validation.{i}, F32: [k, k], or [256, 256, k / 256] for blocks on the
// diagonal. edgeq.moments.names are the weights, edgeq.moments.inputs the input of each.
#pragma once

#include "moments.h"

#include "gguf.h"

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

namespace edgeq {

// The texts, how many tokens of them were used, and the model that read them.
struct MomentsOrigin {
    std::vector<std::string> domains;
    int64_t n_tokens = 0;
    std::string validation;
    int64_t n_validation_tokens = 0;
    std::string model_sha256;
};

// Has its full size from the start, and is filled in any order. Errors are Failure "output".
class MomentsFile {
public:
    MomentsFile(const std::string & path, const MomentsOrigin & origin, const std::string & form,
                const MomentsCollector & collector);

    void write(const std::string & tensor, const std::vector<float> & values);
    void close();

private:
    [[noreturn]] void fail(int error) const;
    void describe(const MomentsOrigin & origin, const std::string & form, const MomentsCollector & collector);

    struct Close {
        void operator()(FILE * file) const { std::fclose(file); }
    };

    std::string path_;
    std::unique_ptr<gguf_context, void (*)(gguf_context *)> gguf_;
    std::unique_ptr<FILE, Close> file_;
    size_t data_start_ = 0;
};

} // namespace edgeq
