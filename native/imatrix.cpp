#include "imatrix.h"

#include "failure.h"
#include "files.h"
#include "host_data.h"
#include "tensor_name.h"

#include "gguf.h"

#include <cmath>
#include <cstring>
#include <memory>

namespace edgeq {

namespace {

void add_squares(float * sums, const float * x, int64_t n) {
    for (int64_t i = 0; i < n; ++i) {
        sums[i] += x[i] * x[i];
    }
}

} // namespace

// llama-imatrix ignores products of fewer than 16 rows and everything outside the blocks.
bool ImportanceCollector::wants(const ggml_tensor * t) {
    if (t->op == GGML_OP_MUL_MAT_ID) {
        return true;
    }
    return t->op == GGML_OP_MUL_MAT && t->src[1]->type == GGML_TYPE_F32 && t->src[1]->ne[1] >= 16 &&
           is_block_weight(t->src[0]);
}

void ImportanceCollector::collect(const ggml_tensor * product) {
    const ggml_tensor * input = product->src[1];
    const std::string name = plain_name(product->src[0]);
    if (input->type != GGML_TYPE_F32 || input->nb[0] != sizeof(float)) {
        throw Failure("input", "activations of " + name + " are not contiguous F32");
    }
    const char * activations = host_data(input, host_copy_);
    if (product->op == GGML_OP_MUL_MAT_ID) {
        collect_experts(product, name, activations);
    } else {
        collect_dense(product, name, activations);
    }
}

ImportanceEntry * ImportanceCollector::entry(const std::string & name, size_t n_sums, size_t n_counts) {
    ImportanceEntry & found = entries_[name];
    if (found.sums.empty()) {
        found.sums.resize(n_sums);
        found.counts.resize(n_counts);
    }
    if (found.sums.size() != n_sums || found.counts.size() != n_counts) {
        throw Failure("input", "activations of " + name + " changed their shape");
    }
    return &found;
}

void ImportanceCollector::check_finite(const std::string & name, const ImportanceEntry & entry) {
    for (const float sum : entry.sums) {
        if (!std::isfinite(sum)) {
            throw Failure("input", "activations of " + name + " are not finite: the model gives no usable statistics");
        }
    }
}

// Inputs with more matrices than the weight has share its matrices, as in ggml's broadcasting.
void ImportanceCollector::collect_dense(const ggml_tensor * product, const std::string & name,
                                        const char * activations) {
    const ggml_tensor * weight = product->src[0];
    const ggml_tensor * input = product->src[1];
    const int64_t n_columns = input->ne[0];
    const int64_t n_mat = weight->ne[2] * weight->ne[3];
    ImportanceEntry * e = entry(name, n_columns * n_mat, 1);
    for (int64_t i3 = 0; i3 < input->ne[3]; ++i3) {
        for (int64_t i2 = 0; i2 < input->ne[2]; ++i2) {
            const int64_t mat = (i3 % weight->ne[3]) * weight->ne[2] + i2 % weight->ne[2];
            for (int64_t row = 0; row < input->ne[1]; ++row) {
                const char * x = activations + row * input->nb[1] + i2 * input->nb[2] + i3 * input->nb[3];
                add_squares(e->sums.data() + mat * n_columns, reinterpret_cast<const float *>(x), n_columns);
            }
        }
    }
    e->counts[0] += ggml_nrows(input) / n_mat;
    check_finite(name, *e);
}

// ids: [n_experts_used, n_tokens], not contiguous. input: [n_columns, 1 or n_experts_used, n_tokens].
void ImportanceCollector::collect_experts(const ggml_tensor * product, const std::string & name,
                                          const char * activations) {
    const ggml_tensor * input = product->src[1];
    const ggml_tensor * ids = product->src[2];
    const int64_t n_columns = input->ne[0];
    const int64_t n_experts = product->src[0]->ne[2];
    if (input->ne[3] != 1 || ids->ne[1] != input->ne[2]) {
        throw Failure("input", "activations of " + name + " have an unknown shape");
    }
    std::vector<char> host_ids(ggml_nbytes(ids));
    ggml_backend_tensor_get(ids, host_ids.data(), 0, host_ids.size());

    ImportanceEntry * e = entry(name, n_columns * n_experts, n_experts);
    for (int64_t used = 0; used < ids->ne[0]; ++used) {
        for (int64_t token = 0; token < input->ne[2]; ++token) {
            int32_t expert = 0;
            std::memcpy(&expert, host_ids.data() + token * ids->nb[1] + used * ids->nb[0], sizeof(expert));
            if (expert < 0 || expert >= n_experts) {
                throw Failure("input", "the router of " + name + " chose an expert that does not exist");
            }
            const char * x = activations + (used % input->ne[1]) * input->nb[1] + token * input->nb[2];
            add_squares(e->sums.data() + expert * n_columns, reinterpret_cast<const float *>(x), n_columns);
            e->counts[expert]++;
        }
    }
    check_finite(name, *e);
}

// Layout and keys of llama-imatrix (tools/imatrix): NAME.in_sum2 [n_columns, n_mat] and NAME.counts [1, n_mat].
void write_imatrix(const std::string & path, const std::map<std::string, ImportanceEntry> & entries,
                   const std::vector<std::string> & datasets, uint32_t n_chunks, uint32_t chunk_size) {
    size_t n_bytes = 0;
    for (const auto & [name, entry] : entries) {
        n_bytes += 2 * (ggml_tensor_overhead() + GGML_MEM_ALIGN) +
                   (entry.sums.size() + entry.counts.size()) * sizeof(float);
    }
    const std::unique_ptr<ggml_context, void (*)(ggml_context *)> tensors(ggml_init({n_bytes, nullptr, false}),
                                                                        ggml_free);
    const std::unique_ptr<gguf_context, void (*)(gguf_context *)> gguf(gguf_init_empty(), gguf_free);

    std::vector<const char *> names;
    for (const auto & dataset : datasets) {
        names.push_back(dataset.c_str());
    }
    gguf_set_val_str(gguf.get(), "general.type", "imatrix");
    gguf_set_arr_str(gguf.get(), "imatrix.datasets", names.data(), names.size());
    gguf_set_val_u32(gguf.get(), "imatrix.chunk_count", n_chunks);
    gguf_set_val_u32(gguf.get(), "imatrix.chunk_size", chunk_size);

    for (const auto & [name, entry] : entries) {
        const auto n_mat = static_cast<int64_t>(entry.counts.size());
        ggml_tensor * sums = ggml_new_tensor_2d(tensors.get(), GGML_TYPE_F32, entry.sums.size() / n_mat, n_mat);
        ggml_tensor * counts = ggml_new_tensor_2d(tensors.get(), GGML_TYPE_F32, 1, n_mat);
        ggml_format_name(sums, "%s.in_sum2", name.c_str());
        ggml_format_name(counts, "%s.counts", name.c_str());
        std::memcpy(sums->data, entry.sums.data(), entry.sums.size() * sizeof(float));
        for (int64_t i = 0; i < n_mat; ++i) {
            static_cast<float *>(counts->data)[i] = static_cast<float>(entry.counts[i]);
        }
        gguf_add_tensor(gguf.get(), sums);
        gguf_add_tensor(gguf.get(), counts);
    }

    write_file(path, [&](FILE * file) { return gguf_write_to_file_ptr(gguf.get(), file, false); });
}

} // namespace edgeq
