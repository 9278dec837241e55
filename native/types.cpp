// edgeq-types: how long it takes to multiply one vector with weights of each type, as decoding one token does.
//
//   edgeq-types --events E --threads N --type T [--type ...] [--device cpu] [--columns 2048] [--rows 8192]
//               [--total-mib 256] [--rounds 5] [--reps 2] [--min-window 0] [--idle 0] [--sync 0]
//
// Matrices of --rows x --columns weights of a type take --total-mib MiB together, so that no cache holds them until the
// next pass. In each of --rounds rounds every type has one turn, in another order: its matrices are loaded (phase
// "load"), multiplied three times to warm up ("warmup"), then --reps times and more until that took its share of
// --min-window seconds ("decode", one token a pass). A phase's "test" is the type. Before its first turn's decode the
// products are compared with those of the decoded weights; a type that fails, or that --device (cpu or gpu) can't
// multiply with, is left out with an event "left_out". --idle and --sync are as in edgeq-bench.
#include "args.h"
#include "bench_bursts.h"
#include "bench_idle.h"
#include "bench_phase.h"
#include "events.h"
#include "failure.h"
#include "model.h"
#include "types_device.h"
#include "types_matrices.h"
#include "types_rows.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

using namespace edgeq;

namespace {

constexpr int WARMUPS = 3;
constexpr int32_t MOST_REPS = 10000;
constexpr uint32_t INPUT_SEED = 2;
// No row is so far off by rounding alone; what is missing from a product, or counted wrongly, makes tens of deviations.
constexpr double LARGEST_ERROR = 6.0;

struct Settings {
    std::vector<ggml_type> types;
    bool on_gpu;
    int32_t n_threads;
    int32_t n_columns;
    int32_t n_rows;
    int64_t total_bytes;
    int32_t n_rounds;
    int32_t n_reps;
    double min_window_s;
    double idle_s;
    double sync_s;

    int32_t n_matrices(ggml_type type) const {
        const int64_t matrix_bytes = static_cast<int64_t>(ggml_row_size(type, n_columns)) * n_rows;
        return static_cast<int32_t>((total_bytes + matrix_bytes - 1) / matrix_bytes);
    }
};

ggml_type find_type(const std::string & name) {
    for (int i = 0; i < GGML_TYPE_COUNT; ++i) {
        const auto type = static_cast<ggml_type>(i);
        if (ggml_blck_size(type) > 0 && name == type_name(type)) {
            return type;
        }
    }
    throw UsageError("'" + name + "' is not the type of a tensor");
}

Settings parse_settings(const Args & args) {
    Settings settings{};
    for (const auto & name : args.all("type")) {
        settings.types.push_back(find_type(name));
    }
    const std::string device = args.get("device", "cpu");
    if (device != "cpu" && device != "gpu") {
        throw UsageError("--device must be cpu or gpu, not '" + device + "'");
    }
    settings.on_gpu = device == "gpu";
    settings.n_threads = args.integer("threads", 1);
    settings.n_columns = args.integer("columns", 2048, 256, 1 << 20);
    settings.n_rows = args.integer("rows", 8192, 1, 1 << 20);
    settings.total_bytes = static_cast<int64_t>(args.integer("total-mib", 256, 1, 1 << 20)) << 20;
    settings.n_rounds = args.integer("rounds", 5, 1, MOST_REPS);
    settings.n_reps = args.integer("reps", 2, 1, MOST_REPS);
    settings.min_window_s = args.seconds("min-window");
    settings.idle_s = args.seconds("idle");
    settings.sync_s = args.seconds("sync");
    if (settings.types.empty()) {
        throw UsageError("option --type is missing");
    }
    if (settings.n_columns % 256 != 0) {
        throw UsageError("--columns must be a multiple of 256, which is the block of some types");
    }
    return settings;
}

class Rounds {
public:
    explicit Rounds(const Settings & settings)
        : settings_(settings), input_(random_vector(settings.n_columns, INPUT_SEED)) {
        for (const ggml_type type : settings.types) {
            types_.push_back(std::make_unique<Rows>(type, input_));
        }
    }

    void run() {
        const Device device(settings_.on_gpu, settings_.n_threads);
        for (int32_t round = 0; round < settings_.n_rounds; ++round) {
            std::shuffle(types_.begin(), types_.end(), random_);
            for (auto & rows : types_) {
                if (!turn(device, *rows, round)) {
                    rows.reset();
                }
            }
            types_.erase(std::remove(types_.begin(), types_.end(), nullptr), types_.end());
        }
    }

private:
    // False where the type is left out.
    bool turn(const Device & device, const Rows & rows, int32_t round) {
        ggml_backend_buffer_type_t memory = device.memory_for(rows.type(), settings_.n_columns, settings_.n_rows);
        if (memory == nullptr) {
            return leave_out(rows, "unsupported");
        }
        Phase load("load", round);
        Matrices matrices(device, memory, rows, input_, settings_.n_rows, settings_.n_matrices(rows.type()));
        load.finish(rows.name(), 0);
        for (int i = 0; i < WARMUPS; ++i) {
            pass(matrices, "warmup", rows, round * WARMUPS + i);
        }
        if (round == 0) {
            const double error = matrices.largest_error();
            if (!(error <= LARGEST_ERROR)) {
                return leave_out(rows, "wrong");
            }
            tell(rows, memory, error);
        }
        measure(matrices, rows);
        return true;
    }

    void measure(Matrices & matrices, const Rows & rows) {
        const double min_window_ns = settings_.min_window_s * 1e9 / settings_.n_rounds;
        int32_t & n_done = n_done_[rows.type()];
        double total_ns = 0.0;
        for (int32_t i = 0; i < settings_.n_reps || (i < MOST_REPS && total_ns < min_window_ns); ++i) {
            total_ns += static_cast<double>(pass(matrices, "decode", rows, n_done++));
        }
    }

    int64_t pass(Matrices & matrices, const char * kind, const Rows & rows, int rep) {
        Phase phase(kind, rep);
        matrices.multiply();
        return phase.finish(rows.name(), 1);
    }

    void tell(const Rows & rows, ggml_backend_buffer_type_t memory, double error) const {
        emit(Json("type")
                 .add("name", rows.name())
                 .add("memory", ggml_backend_buft_name(memory))
                 .add("n_matrices", settings_.n_matrices(rows.type()))
                 .add("row_bytes", static_cast<int64_t>(ggml_row_size(rows.type(), settings_.n_columns)))
                 .add("error_permille", static_cast<int64_t>(std::lround(error * 1000.0))));
    }

    static bool leave_out(const Rows & rows, const char * reason) {
        emit(Json("left_out").add("name", rows.name()).add("reason", reason));
        return false;
    }

    Settings settings_;
    std::vector<float> input_;
    std::vector<std::unique_ptr<Rows>> types_;
    std::map<ggml_type, int32_t> n_done_;
    std::mt19937 random_{3};
};

void measure_types(const Settings & settings) {
    init_backends();
    Rounds rounds(settings);
    Bursts bursts(settings.n_threads, settings.sync_s);
    bursts.run();
    rest(settings.idle_s, 0);
    rounds.run();
    rest(settings.idle_s, 1);
    bursts.run();
    emit(Json("done"));
}

} // namespace

int main(int argc, char ** argv) {
    return run_program("edgeq-types", [&] {
        const Args args(argc, argv,
                        {"events", "threads", "type", "device", "columns", "rows", "total-mib", "rounds", "reps",
                         "min-window", "idle", "sync"});
        open_events(args.get("events"));
        measure_types(parse_settings(args));
    });
}
