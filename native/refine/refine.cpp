#include "refine/refine.h"

#include "failure.h"
#include "refine/group.h"
#include "refine/threads.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <new>
#include <numeric>
#include <string>
#include <vector>

namespace edgeq::refine {

namespace {

// What was found wrong in one of the threads: the first finding is kept.
class Finding {
public:
    void report(const char * text) {
        const char * none = nullptr;
        text_.compare_exchange_strong(none, text);
    }
    void raise() const {
        if (text_ != nullptr) {
            throw Failure("input", text_.load());
        }
    }

private:
    std::atomic<const char *> text_{nullptr};
};

// Rows of a job, GROUP at a time.
class Matrix {
public:
    explicit Matrix(const edgeq_refine_job & job)
        : type(static_cast<ggml_type>(job.type)), job_(job), row_bytes_(ggml_row_size(type, job.n_columns)) {}

    int n_groups() const { return static_cast<int>((job_.n_rows + GROUP - 1) / GROUP); }
    int n_rows(int i) const { return static_cast<int>(std::min<int64_t>(GROUP, job_.n_rows - int64_t{GROUP} * i)); }
    const float * source(int i) const { return job_.source + int64_t{GROUP} * i * job_.n_columns; }
    uint8_t * blocks(int i) const { return job_.blocks + int64_t{GROUP} * i * row_bytes_; }

    const ggml_type type;

private:
    const edgeq_refine_job & job_;
    size_t row_bytes_;
};

void check_shape(const edgeq_refine_job & job) {
    const auto type = static_cast<ggml_type>(job.type);
    const std::string width = std::to_string(job.n_columns);
    if (job.type < 0 || job.type >= GGML_TYPE_COUNT ||
        (type != GGML_TYPE_F32 && ggml_get_type_traits(type)->to_float == nullptr)) {
        throw Failure("input", "there is no type " + std::to_string(job.type) + " of weights");
    }
    if (job.n_rows < 0 || job.n_columns <= 0 || job.n_rounds < 0 || job.n_threads < 1) {
        throw Failure("input", "a matrix has rows and columns, and is refined in some rounds by some threads");
    }
    if (job.n_columns % ggml_blck_size(type) != 0) {
        throw Failure("input", "rows of " + width + " weights are no whole blocks of " + ggml_type_name(type));
    }
    if (job.moments_form != EDGEQ_REFINE_FULL && job.moments_form != EDGEQ_REFINE_BLOCKS) {
        throw Failure("input", "second moments are whole or blocks, not " + std::to_string(job.moments_form));
    }
    if (job.moments_form == EDGEQ_REFINE_BLOCKS && job.n_columns % WINDOW != 0) {
        throw Failure("input", "rows of " + width + " weights are no whole windows of 256: give all second moments");
    }
    if (!(job.shrinkage >= 0 && job.shrinkage <= 1 && job.damping >= 0 && job.damping <= 1)) {
        throw Failure("input", "shrinkage and damping are between 0 and 1");
    }
}

// `format`: of the type, if blocks are to be refined.
void check_values(const edgeq_refine_job & job, const Matrix & matrix, const Format * format) {
    std::vector<std::vector<float>> values(job.n_threads, std::vector<float>(GROUP * job.n_columns));
    Finding finding;
    for_each(matrix.n_groups(), job.n_threads, [&](int i, int worker) {
        const int64_t n = matrix.n_rows(i) * job.n_columns;
        float * decoded = values[worker].data();
        to_floats(matrix.type, matrix.blocks(i), decoded, n);
        if (!all_finite(matrix.source(i), n)) {
            finding.report("the weights are not finite numbers");
        } else if (!all_finite(decoded, n)) {
            finding.report("the quantized weights are not finite numbers");
        } else if (format != nullptr && !is_read_as_by_ggml(*format, matrix.blocks(i), decoded, n)) {
            finding.report("this llama.cpp stores weights of the type in a way of its own");
        }
    });
    finding.raise();
}

Moments moments_of(const edgeq_refine_job & job, float shrinkage, float damping) {
    return Moments(job.moments, job.n_columns, job.moments_form == EDGEQ_REFINE_BLOCKS, shrinkage, damping);
}

void refine(edgeq_refine_job & job) {
    check_shape(job);
    const Matrix matrix(job);
    const Format * format = find_format(matrix.type);
    if (format == nullptr) {
        throw Failure("input", std::string("weights of type ") + ggml_type_name(matrix.type) + " can't be refined");
    }
    check_values(job, matrix, format);
    const Moments moments = moments_of(job, job.shrinkage, job.damping);
    std::vector<Group> groups(job.n_threads, Group(moments, matrix.type));
    std::vector<Outcome> outcomes(matrix.n_groups());
    for_each(matrix.n_groups(), job.n_threads, [&](int i, int worker) {
        groups[worker].load(matrix.source(i), matrix.blocks(i), matrix.n_rows(i));
        outcomes[i] = groups[worker].refine(*format, job.n_rounds);
    });
    // Summed in one order, whichever thread was first.
    Outcome total;
    for (const Outcome & outcome : outcomes) {
        total.before += outcome.before;
        total.after += outcome.after;
        total.n_changed += outcome.n_changed;
    }
    job.before = total.before;
    job.after = total.after;
    job.n_changed = total.n_changed;
}

void compute_loss(edgeq_refine_job & job) {
    check_shape(job);
    const Matrix matrix(job);
    check_values(job, matrix, nullptr);
    const Moments moments = moments_of(job, 0, 0);
    std::vector<Group> groups(job.n_threads, Group(moments, matrix.type));
    std::vector<double> losses(matrix.n_groups());
    for_each(matrix.n_groups(), job.n_threads, [&](int i, int worker) {
        groups[worker].load(matrix.source(i), matrix.blocks(i), matrix.n_rows(i));
        losses[i] = groups[worker].loss();
    });
    job.after = std::accumulate(losses.begin(), losses.end(), 0.0);
}

// Exceptions end here: the caller is no C++.
template <typename Work> int32_t guarded(Work work, char * message, size_t message_bytes) {
    const auto say = [&](const char * text) { std::snprintf(message, message_bytes, "%s", text); };
    try {
        work();
        return EDGEQ_REFINE_DONE;
    } catch (const std::bad_alloc &) {
        say("not enough memory");
        return EDGEQ_REFINE_MEMORY;
    } catch (const std::exception & error) {
        say(error.what());
        return EDGEQ_REFINE_INPUT;
    }
}

} // namespace

} // namespace edgeq::refine

int32_t edgeq_refine(edgeq_refine_job * job, char * message, size_t message_bytes) {
    return edgeq::refine::guarded([&] { edgeq::refine::refine(*job); }, message, message_bytes);
}

int32_t edgeq_refine_loss(edgeq_refine_job * job, char * message, size_t message_bytes) {
    return edgeq::refine::guarded([&] { edgeq::refine::compute_loss(*job); }, message, message_bytes);
}

int32_t edgeq_refine_has_type(int32_t type) {
    return edgeq::refine::find_format(static_cast<ggml_type>(type)) != nullptr ? 1 : 0;
}
