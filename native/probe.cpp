// edgeq-probe: what this build of llama.cpp is and which devices it sees, as one JSON file.
//
//   edgeq-probe --out P.json
#include "args.h"
#include "events.h"
#include "failure.h"
#include "files.h"
#include "model.h"

#include "ggml-backend.h"

using namespace edgeq;

namespace {

const char * type_name(enum ggml_backend_dev_type type) {
    switch (type) {
    case GGML_BACKEND_DEVICE_TYPE_CPU:
        return "cpu";
    case GGML_BACKEND_DEVICE_TYPE_GPU:
        return "gpu";
    case GGML_BACKEND_DEVICE_TYPE_IGPU:
        return "igpu";
    case GGML_BACKEND_DEVICE_TYPE_ACCEL:
        return "accel";
    default:
        return "other";
    }
}

Json device(ggml_backend_dev_t dev) {
    ggml_backend_dev_props props{};
    ggml_backend_dev_get_props(dev, &props);
    Json json;
    json.add("name", props.name).add("description", props.description).add("type", type_name(props.type));
    json.add("memory_total", static_cast<int64_t>(props.memory_total));
    // For the CPU ggml gives the total as free, having no better definition: that is no measurement.
    if (props.type == GGML_BACKEND_DEVICE_TYPE_CPU) {
        json.add_null("memory_free");
    } else {
        json.add("memory_free", static_cast<int64_t>(props.memory_free));
    }
    return json;
}

std::vector<Json> devices() {
    std::vector<Json> list;
    for (size_t i = 0; i < ggml_backend_dev_count(); ++i) {
        list.push_back(device(ggml_backend_dev_get(i)));
    }
    return list;
}

// Per backend, what it says it was compiled for: {"CPU": {"AVX2": "1", ...}}.
Json features() {
    Json all;
    for (size_t i = 0; i < ggml_backend_reg_count(); ++i) {
        ggml_backend_reg_t registry = ggml_backend_reg_get(i);
        const auto get = reinterpret_cast<ggml_backend_get_features_t>(
            ggml_backend_reg_get_proc_address(registry, "ggml_backend_get_features"));
        Json one;
        for (ggml_backend_feature * f = get ? get(registry) : nullptr; f != nullptr && f->name != nullptr; ++f) {
            one.add(f->name, f->value);
        }
        all.add(ggml_backend_reg_name(registry), one);
    }
    return all;
}

std::vector<Json> ggml_types() {
    std::vector<Json> list;
    for (int i = 0; i < GGML_TYPE_COUNT; ++i) {
        const auto type = static_cast<ggml_type>(i);
        if (ggml_blck_size(type) == 0) { // a number that once was a type
            continue;
        }
        Json json;
        json.add("name", ggml_type_name(type)).add("id", i);
        json.add("block_size", static_cast<int64_t>(ggml_blck_size(type)));
        json.add("type_size", static_cast<int64_t>(ggml_type_size(type)));
        json.add("is_quantized", ggml_is_quantized(type));
        json.add("requires_imatrix", ggml_quantize_requires_imatrix(type));
        list.push_back(json);
    }
    return list;
}

void probe(const std::string & path) {
    init_backends();
    Json json;
    json.add("llama_version", llama_version()).add("ggml_version", ggml_version()).add("ggml_commit", ggml_commit());
    json.add("system_info", llama_print_system_info());
    json.add("supports_gpu_offload", llama_supports_gpu_offload()).add("supports_mmap", llama_supports_mmap());
    json.add("max_devices", static_cast<int64_t>(llama_max_devices()));
    json.add("devices", devices()).add("features", features()).add("ggml_types", ggml_types());
    const std::string text = json.text() + "\n";
    write_file(path, [&](FILE * file) { return std::fputs(text.c_str(), file) >= 0; });
}

} // namespace

int main(int argc, char ** argv) {
    return run_program("edgeq-probe", [&] { probe(Args(argc, argv, {"out"}).get("out")); });
}
