#include "moments_file.h"

#include "failure.h"

#include <cerrno>
#include <cstring>

#ifdef __linux__
#include <fcntl.h>
#endif

namespace edgeq {

namespace {

size_t padded(size_t n) { return GGML_PAD(n, static_cast<size_t>(GGUF_DEFAULT_ALIGNMENT)); }

void add_strings(gguf_context * gguf, const char * key, const std::vector<std::string> & texts) {
    std::vector<const char *> pointers;
    for (const auto & text : texts) {
        pointers.push_back(text.c_str());
    }
    gguf_set_arr_str(gguf, key, pointers.data(), pointers.size());
}

} // namespace

MomentsFile::MomentsFile(const std::string & path, const MomentsOrigin & origin, const std::string & form,
                         const MomentsCollector & collector)
    : path_(path), gguf_(gguf_init_empty(), gguf_free) {
    describe(origin, form, collector);
    data_start_ = gguf_get_meta_size(gguf_.get());
    std::vector<char> head(data_start_);
    gguf_get_meta_data(gguf_.get(), head.data());
    size_t size = data_start_;
    for (int64_t i = 0; i < gguf_get_n_tensors(gguf_.get()); ++i) {
        size += padded(gguf_get_tensor_size(gguf_.get(), i));
    }
    file_.reset(std::fopen(path.c_str(), "wb"));
    if (!file_ || std::fwrite(head.data(), 1, head.size(), file_.get()) != head.size() ||
        std::fflush(file_.get()) != 0) {
        fail(errno);
    }
#ifdef __linux__
    // A disk that is too small is found before the long work.
    const int error = posix_fallocate(fileno(file_.get()), 0, static_cast<off_t>(size));
    if (error != 0 && error != EOPNOTSUPP && error != EINVAL) {
        fail(error);
    }
#endif
}

void MomentsFile::describe(const MomentsOrigin & origin, const std::string & form,
                           const MomentsCollector & collector) {
    std::vector<std::string> names;
    std::vector<uint32_t> numbers;
    for (const auto & weight : collector.weights()) {
        names.push_back(weight.name);
        numbers.push_back(weight.input);
    }
    gguf_context * gguf = gguf_.get();
    gguf_set_val_str(gguf, "general.type", "second-moments");
    gguf_set_val_str(gguf, "edgeq.moments.form", form.c_str());
    add_strings(gguf, "edgeq.moments.names", names);
    gguf_set_arr_data(gguf, "edgeq.moments.inputs", GGUF_TYPE_UINT32, numbers.data(), numbers.size());
    add_strings(gguf, "edgeq.moments.domains", origin.domains);
    gguf_set_val_u64(gguf, "edgeq.moments.n_tokens", origin.n_tokens);
    gguf_set_val_str(gguf, "edgeq.moments.validation", origin.validation.c_str());
    gguf_set_val_u64(gguf, "edgeq.moments.validation_tokens", origin.n_validation_tokens);
    gguf_set_val_str(gguf, "edgeq.moments.model_sha256", origin.model_sha256.c_str());

    const size_t n_bytes = 2 * collector.inputs().size() * ggml_tensor_overhead();
    const std::unique_ptr<ggml_context, void (*)(ggml_context *)> tensors(ggml_init({n_bytes, nullptr, true}),
                                                                        ggml_free);
    for (size_t i = 0; i < collector.inputs().size(); ++i) {
        const Gram & gram = collector.inputs()[i];
        for (const char * kind : {"input", "validation"}) {
            ggml_tensor * tensor =
                ggml_new_tensor_3d(tensors.get(), GGML_TYPE_F32, gram.width, gram.width, gram.n_blocks());
            ggml_format_name(tensor, "%s.%zu", kind, i);
            gguf_add_tensor(gguf, tensor);
        }
    }
}

void MomentsFile::write(const std::string & tensor, const std::vector<float> & values) {
    const int64_t id = gguf_find_tensor(gguf_.get(), tensor.c_str());
    const size_t n_bytes = values.size() * sizeof(float);
    const std::vector<char> padding(padded(n_bytes) - n_bytes);
    const size_t start = data_start_ + gguf_get_tensor_offset(gguf_.get(), id);
    if (std::fseek(file_.get(), static_cast<long>(start), SEEK_SET) != 0 ||
        std::fwrite(values.data(), sizeof(float), values.size(), file_.get()) != values.size() ||
        std::fwrite(padding.data(), 1, padding.size(), file_.get()) != padding.size()) {
        fail(errno);
    }
}

void MomentsFile::close() {
    if (std::fclose(file_.release()) != 0) {
        fail(errno);
    }
}

void MomentsFile::fail(int error) const {
    throw Failure("output", "can't write " + path_ + ": " + std::strerror(error));
}

} // namespace edgeq
