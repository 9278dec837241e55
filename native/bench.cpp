// edgeq-bench: the tests of llama-bench, with every phase and every decoded token stamped.
//
//   edgeq-bench --model M --events E --threads N --test P,G,D [--test ...] [--reps 5] [--min-window 0] [--idle 0]
//               [--sync 0] [--batch 2048] [--ubatch 512] [--gpu-layers 0] [--flash-attn auto] [--type-k f16]
//               [--type-v f16] [--adapter A]
//
// P prompt tokens, G generated tokens, depth D; one of P and G is 0. Shapes and parameters are llama-bench's, so that
// both report the same t/s; unlike it, the warm-up has the shape that is measured. Times are in seconds: --min-window,
// what a test's repetitions must add up to; --idle, how long the loaded model rests before and after the tests; --sync,
// the unit of the load bursts around all that, which a slow meter needs longer. Events are written between phases.
#include "adapter.h"
#include "bench_bursts.h"
#include "bench_idle.h"
#include "bench_phase.h"
#include "bench_repeat.h"
#include "bench_runner.h"
#include "bench_settings.h"
#include "events.h"
#include "failure.h"
#include "memory.h"
#include "model.h"

#include <string>
#include <vector>

using namespace edgeq;

namespace {

void bench(const Settings & settings) {
    init_backends();
    Phase load("load", 0);
    const ModelPtr model = load_model(settings.model_path, settings.n_gpu_layers);
    llama_adapter_lora * adapter = load_adapter(model.get(), settings.adapter_path);
    load.finish("", 0);
    emit(model_event(model.get()));
    const auto files = model_files(model.get(), settings.model_path);
    emit(memory_event("load", files));

    Bursts bursts(settings.n_threads, settings.sync_s);
    bursts.run();
    rest(settings.idle_s, 0);
    for (const Test & test : settings.tests) {
        Runner runner(model.get(), adapter, settings, test);
        warm_up(runner);
        repeat(runner, settings.n_reps, settings.min_window_s);
        runner.emit_buffers();
        emit(memory_event(test.name(), files));
    }
    emit(memory_event("end", files));
    rest(settings.idle_s, 1);
    bursts.run();
    emit(Json("done"));
}

} // namespace

int main(int argc, char ** argv) {
    return run_program("edgeq-bench", [&] {
        std::vector<std::string> known = SETTINGS_OPTIONS;
        known.push_back("events");
        const Args args(argc, argv, known);
        open_events(args.get("events"));
        bench(parse_settings(args));
    });
}
