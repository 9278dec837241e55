// edgeq-fit: what llama.cpp allocates for a model and for contexts of several lengths, without its weights being read.
//
//   edgeq-fit --model M --events E --ctx N [--ctx N ...] [--threads 1] [--batch 2048] [--ubatch 512] [--gpu-layers 0]
//             [--flash-attn auto] [--type-k f16] [--type-v f16]
//
// The model is loaded with no_alloc: its vocabulary for real, its weights and caches as sizes only. So llama.cpp itself
// accounts for every architecture. The resident memory of this process is what a real run needs besides weights, caches
// and buffers; a recurrent state, which llama.cpp allocates even so, is told apart.
#include "args.h"
#include "events.h"
#include "failure.h"
#include "memory.h"
#include "model.h"

#include "ggml-backend.h"
#include "llama-ext.h"
#ifdef EDGEQ_LINKS_GGML_CPU
#include "ggml-cpu.h"
#endif

#include <algorithm>
#include <map>
#include <vector>

using namespace edgeq;

namespace {

// Bytes that one decoded token reads of each weight. Not by name: tied embeddings may be loaded twice, in two kinds of
// memory.
using Weights = std::map<const ggml_tensor *, int64_t>;

ModelPtr load_sizes(const Args & args) {
    llama_model_params params = llama_model_default_params();
    params.n_gpu_layers = args.integer("gpu-layers", 0, -1, INT32_MAX);
    params.no_alloc = true;
    params.load_mode = LLAMA_LOAD_MODE_NONE; // llama.cpp refuses to map what it does not allocate
    forget_logged_error();
    const std::string path = args.get("model");
    ModelPtr model(llama_model_load_from_file(path.c_str(), params));
    if (!model) {
        throw Failure("load", "can't load " + path + ": " + logged_error());
    }
    return model;
}

llama_context_params parse_context(const Args & args) {
    llama_context_params params = llama_context_default_params();
    params.n_batch = args.integer("batch", 2048, 1, INT32_MAX);
    params.n_ubatch = args.integer("ubatch", 512, 1, INT32_MAX);
    params.n_threads = args.integer("threads", 1, 1, 512);
    params.n_threads_batch = params.n_threads;
    params.flash_attn_type = parse_flash_attn(args.get("flash-attn", "auto"));
    params.type_k = parse_type(args.get("type-k", "f16"));
    params.type_v = parse_type(args.get("type-v", "f16"));
    params.swa_full = false;
    return params;
}

std::vector<int32_t> parse_lengths(const Args & args) {
    std::vector<int32_t> lengths;
    for (const auto & text : args.all("ctx")) {
        lengths.push_back(parse_integer(text, "--ctx", 1, INT32_MAX));
    }
    if (lengths.empty()) {
        throw UsageError("option --ctx is missing");
    }
    std::sort(lengths.begin(), lengths.end()); // so that the heap of a longer context is not counted for a shorter one
    return lengths;
}

// Of a table of rows, the rows that are looked up; of experts, those that are chosen; of anything else, all of it.
int64_t bytes_read(const ggml_tensor * node, const ggml_tensor * weight) {
    const auto bytes = static_cast<int64_t>(ggml_nbytes(weight));
    if (node->op == GGML_OP_GET_ROWS && node->src[0] == weight) {
        return std::min(bytes, static_cast<int64_t>(ggml_row_size(weight->type, weight->ne[0])) * ggml_nrows(node));
    }
    if (node->op == GGML_OP_MUL_MAT_ID && node->src[0] == weight) {
        return bytes / weight->ne[2] * std::min(weight->ne[2], node->src[2]->ne[0] * node->src[2]->ne[1]);
    }
    return bytes;
}

bool is_weight(const ggml_tensor * tensor) {
    return tensor->buffer != nullptr &&
           ggml_backend_buffer_get_usage(tensor->buffer) == GGML_BACKEND_BUFFER_USAGE_WEIGHTS;
}

// The weights of a graph. One that is used twice counts by the larger use.
Weights weights_of(ggml_cgraph * graph) {
    Weights found;
    for (int i = 0; i < ggml_graph_n_nodes(graph); ++i) {
        const ggml_tensor * node = ggml_graph_node(graph, i);
        for (const ggml_tensor * source : node->src) {
            const ggml_tensor * weight = source && source->view_src ? source->view_src : source;
            if (weight == nullptr || !is_weight(weight)) {
                continue;
            }
            found[weight] = std::max(found[weight], bytes_read(node, weight));
        }
    }
    return found;
}

// Of the description of a graph (llm_graph_result). A context that decodes keeps one for batches with outputs and one
// for those without, besides the one that it has from the start.
int64_t description_bytes(ggml_cgraph * graph) {
    const auto size = static_cast<size_t>(ggml_graph_size(graph));
    return static_cast<int64_t>(ggml_tensor_overhead() * size + ggml_graph_overhead_custom(size, false));
}

bool maps_files(const llama_model * model) {
    for (int32_t i = 0; i < llama_model_n_devices(model); ++i) {
        ggml_backend_dev_props props{};
        ggml_backend_dev_get_props(llama_model_get_device(model, i), &props);
        if (!props.caps.mmap_support) {
            return false;
        }
    }
    return true;
}

// Whether llama.cpp leaves a weight in the mapped file where it maps files: llama_model_base::load_tensors, and
// buft_for_tensor, which replaces the pinned buffers of a GPU's host.
bool stays_in_file(ggml_backend_buffer_type_t type) {
    ggml_backend_dev_t device = ggml_backend_buft_get_device(type);
    if (device != nullptr && type == ggml_backend_dev_host_buffer_type(device)) {
        return true;
    }
    device = device != nullptr ? device : ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
    ggml_backend_dev_props props{};
    ggml_backend_dev_get_props(device, &props);
    return props.caps.buffer_from_host_ptr && type == ggml_backend_dev_buffer_type(device);
}

bool is_on_gpu(ggml_backend_buffer_type_t type) {
    ggml_backend_dev_t device = ggml_backend_buft_get_device(type);
    return device != nullptr && !ggml_backend_buft_is_host(type) &&
           ggml_backend_dev_type(device) != GGML_BACKEND_DEVICE_TYPE_CPU;
}

void emit_weights(const llama_model * model, ggml_cgraph * graph) {
    const bool maps = maps_files(model);
    for (const auto & [weight, read_bytes] : weights_of(graph)) {
        ggml_backend_buffer_type_t type = ggml_backend_buffer_get_type(weight->buffer);
        emit(Json("weight")
                 .add("name", ggml_get_name(weight))
                 .add("device", ggml_backend_buft_name(type))
                 .add("on_gpu", is_on_gpu(type))
                 .add("is_mapped", maps && stays_in_file(type))
                 .add("n_bytes", static_cast<int64_t>(ggml_nbytes(weight)))
                 .add("read_bytes", read_bytes));
    }
}

ggml_cgraph * graph_of(llama_context * context, int32_t n_tokens) {
    forget_logged_error();
    ggml_cgraph * graph = llama_graph_reserve(context, n_tokens, 1, 1);
    if (graph == nullptr) {
        throw Failure("memory", "not enough memory to plan for " + std::to_string(n_tokens) + " tokens");
    }
    return graph;
}

// What the CPU backend allocates besides for converted activations; 0 where it can't be asked, in builds with several.
int64_t work_bytes(ggml_cgraph * graph, int32_t n_threads) {
#ifdef EDGEQ_LINKS_GGML_CPU
    return static_cast<int64_t>(ggml_graph_plan(graph, n_threads, nullptr).work_size);
#else
    (void) graph, (void) n_threads;
    return 0;
#endif
}

// Compute buffers are allocated for logits of every token, and touched for those that are asked for: the last one's.
void emit_buffers(llama_context * context, llama_context * one_output, int32_t n_ctx) {
    auto used = llama_get_memory_breakdown(one_output);
    for (const auto & [type, bytes] : llama_get_memory_breakdown(context)) {
        emit(Json("buffers")
                 .add("n_ctx", n_ctx)
                 .add("device", ggml_backend_buft_name(type))
                 .add("on_gpu", is_on_gpu(type))
                 .add("context_bytes", static_cast<int64_t>(bytes.context))
                 .add("compute_bytes", static_cast<int64_t>(bytes.compute))
                 .add("used_compute_bytes", static_cast<int64_t>(used[type].compute)));
    }
}

class Planner {
public:
    Planner(llama_model * model, const Args & args)
        : model_(model), params_(parse_context(args)), n_threads_(params_.n_threads) {}

    void plan(int32_t n_ctx) {
        const ContextPtr context = create(n_ctx, 0);
        const int32_t n_tokens = std::min(n_ctx, static_cast<int32_t>(params_.n_ubatch));
        ggml_cgraph * graph = graph_of(context.get(), n_tokens);
        const int64_t work = work_bytes(graph, n_threads_);
        const int64_t descriptions = description_bytes(graph) * (n_ctx > n_tokens ? 2 : 1);
        if (!told_weights_) {
            emit_weights(model_, graph_of(context.get(), 1));
            told_weights_ = true;
        }
        emit(memory_event(std::to_string(n_ctx)));
        emit_buffers(context.get(), create(n_ctx, 1).get(), n_ctx);
        emit(Json("context")
                 .add("n_ctx", n_ctx)
                 .add("work_bytes", work)
                 .add("graph_bytes", descriptions)
                 .add("state_bytes", state_bytes()));
    }

private:
    ContextPtr create(int32_t n_ctx, uint32_t n_outputs_max) const {
        llama_context_params params = params_;
        params.n_ctx = n_ctx;
        params.n_outputs_max = n_outputs_max;
        return create_context(model_, params, std::to_string(n_ctx) + " tokens");
    }

    int64_t context_bytes(int32_t n_ctx) const {
        int64_t bytes = 0;
        for (const auto & [type, part] : llama_get_memory_breakdown(create(n_ctx, 1).get())) {
            bytes += static_cast<int64_t>(part.context);
        }
        return bytes;
    }

    // A recurrent state, which does not depend on the length and is allocated for real in spite of no_alloc.
    int64_t state_bytes() {
        if (state_bytes_ < 0) {
            const bool has_state = llama_model_is_recurrent(model_) || llama_model_is_hybrid(model_);
            state_bytes_ = has_state ? 2 * context_bytes(256) - context_bytes(512) : 0;
        }
        return state_bytes_;
    }

    llama_model * model_;
    llama_context_params params_;
    int32_t n_threads_;
    int64_t state_bytes_ = -1;
    bool told_weights_ = false;
};

void fit(const Args & args) {
    const auto lengths = parse_lengths(args);
    init_backends();
    const ModelPtr model = load_sizes(args);
    emit(model_event(model.get()));
    emit(memory_event("load"));
    Planner planner(model.get(), args);
    for (const int32_t n_ctx : lengths) {
        planner.plan(n_ctx);
    }
    emit(Json("done"));
}

} // namespace

int main(int argc, char ** argv) {
    return run_program("edgeq-fit", [&] {
        const Args args(argc, argv,
                        {"model", "events", "ctx", "threads", "batch", "ubatch", "gpu-layers", "flash-attn", "type-k",
                         "type-v"});
        open_events(args.get("events"));
        fit(args);
    });
}
