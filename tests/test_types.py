"""What each weight type costs on a device: the real program, what it promises, and the table made from it."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner, Result

from edgeq import analyze, bench, device, programs, store
from edgeq.access import Access
from edgeq.bench import types
from edgeq.cli import cli
from edgeq.errors import InputError, MissingError
from edgeq.instruments import Instruments
from edgeq.records import (
    Build,
    Channel,
    Gguf,
    Host,
    Note,
    Phase,
    Profile,
    Trace,
    TypeSpeeds,
    TypesRecord,
    TypesSettings,
    WeightType,
)

from .test_run import EDGEQ

N_ROUNDS, N_REPS = 3, 2
SMALL = TypesSettings(bench.TYPES, "cpu", 1, n_rows=512, n_columns=512, total_mib=2, n_rounds=N_ROUNDS, n_reps=N_REPS)
PROFILE = Profile("test", sensors=())


def measured(built: Build, settings: TypesSettings, folder: Path) -> TypesRecord:
    return bench.TypesBench(built, Access(profile=PROFILE), Instruments(), settings, folder).measure()


def seconds(phases: list[Phase]) -> float:
    return sum(p.t1_ns - p.t0_ns for p in phases) / 1e9


def of(record: TypesRecord, name: str, kind: str = "decode") -> list[Phase]:
    return [p for p in record.phases if (p.test, p.kind) == (name, kind)]


@pytest.fixture(scope="module")
def record(built: Build, tmp_path_factory: pytest.TempPathFactory) -> TypesRecord:
    folder = tmp_path_factory.mktemp("types")
    found = measured(built, SMALL, folder)
    assert store.load(folder / "types-test.json.gz", TypesRecord) == found
    return found


def test_every_type_has_a_speed(record: TypesRecord) -> None:
    assert record.left_out == ()
    speeds = analyze.type_speeds(record)
    assert set(speeds.types) == set(bench.TYPES)
    assert all(s.weights_per_s.value > 0 for s in speeds.types.values())
    assert speeds.types["Q8_0"].of_q8_0 == 1
    assert (speeds.types["Q4_K"].bpw, speeds.types["IQ2_XXS"].bpw) == (4.5, 2.0625)  # of ggml's blocks


def test_types_take_turns_that_never_overlap(record: TypesRecord) -> None:
    stamps = [t for p in record.phases for t in (p.t0_ns, p.t1_ns)]
    assert stamps == sorted(stamps)
    one = ["load", *["warmup"] * 3, *["decode"] * N_REPS]
    turns = [record.phases[i : i + len(one)] for i in range(0, len(record.phases), len(one))]
    assert all([p.kind for p in turn] == one and len({p.test for p in turn}) == 1 for turn in turns)
    names = [turn[0].test for turn in turns]
    rounds = [names[i : i + len(bench.TYPES)] for i in range(0, len(names), len(bench.TYPES))]
    assert [sorted(map(str, r)) for r in rounds] == [sorted(bench.TYPES)] * N_ROUNDS
    assert len({tuple(r) for r in rounds}) == N_ROUNDS
    for name in bench.TYPES:
        assert [p.rep for p in of(record, name)] == list(range(N_ROUNDS * N_REPS))


def test_the_matrices_are_larger_together_than_asked_for_by_less_than_one(record: TypesRecord) -> None:
    for t in record.types:
        matrix_bytes = t.row_bytes * SMALL.n_rows
        assert 0 <= t.n_matrices * matrix_bytes - (SMALL.total_mib << 20) < matrix_bytes


def test_products_err_as_much_as_rounding_the_vector_makes_them(record: TypesRecord) -> None:
    errors = {t.name: t.error for t in record.types}
    # The largest of 61 normal values; where groups of 32 share a scale instead of 256, the steps are finer.
    assert all(
        1.5 < errors[name] < 5 for name in ("Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_XS", "IQ3_S", "IQ2_XXS")
    )
    assert all(0.7 < errors[name] < 4 for name in ("Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "IQ4_NL"))
    assert errors["F16"] < errors["BF16"] < errors["Q8_0"]


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("cc"), reason="needs a C compiler and LD_PRELOAD")
def test_a_wrong_kernel_is_found(built: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, library = tmp_path / "wrong.c", tmp_path / "wrong.so"
    name = "ggml_vec_dot_q3_K_q8_K"  # repacked on no processor
    kernel = "int n, float *s, size_t bs, const void *x, size_t bx, const void *y, size_t by, int nrc"
    source.write_text(f"""
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <stddef.h>
        void {name}({kernel}) {{
            void (*right)({kernel}) = (void (*)({kernel})) dlsym(RTLD_NEXT, "{name}");
            right(n - 256, s, bs, x, bx, y, by, nrc);  /* the last block is forgotten */
        }}
    """)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    monkeypatch.setenv("LD_PRELOAD", str(library))
    some = msgspec.structs.replace(SMALL, types=("Q3_K", "Q8_0"), n_columns=2048)
    found = measured(built, some, tmp_path / "out")
    assert [t.name for t in found.types] == ["Q8_0"]
    assert of(found, "Q3_K") == []
    (note,) = found.left_out
    assert "Q3_K was left out: its products" in note.text
    assert note in analyze.type_speeds(found).notes


def test_a_window_adds_passes_to_every_turn(built: Build, tmp_path: Path) -> None:
    window_s = 0.3
    settings = msgspec.structs.replace(SMALL, types=("Q4_K", "F16"), min_window_s=window_s, n_reps=1)
    found = measured(built, settings, tmp_path)
    for name in settings.types:
        phases = of(found, name)
        loads = [p.t0_ns for p in of(found, name, "load")]
        turns = np.searchsorted(loads, [p.t0_ns for p in phases])
        for turn in range(1, N_ROUNDS + 1):
            spent = [p for p, t in zip(phases, turns, strict=True) if t == turn]
            assert seconds(spent) >= window_s / N_ROUNDS > seconds(spent[:-1])


def test_weights_are_kept_where_llama_cpp_keeps_a_models(
    built: Build, model: Gguf, record: TypesRecord, tmp_path: Path
) -> None:
    memory = {t.name: t.memory for t in record.types}
    for name in ("Q4_0", "Q5_0", "Q8_0", "Q4_K"):
        path = tmp_path / f"{name}.gguf"
        argv = [built.tool("quantize"), "--pure", model.path, path, {"Q4_K": "Q4_K_S"}.get(name, name), "2"]
        subprocess.run(argv, check=True, capture_output=True)
        argv = ["--model", str(path), "--threads", "1", "--test", "0,1,0", "--reps", "1"]
        buffers = [e for e in programs.native(built, "bench", argv, what="benching") if e["event"] == "buffers"]
        repacked = any(b["device"] == "CPU_REPACK" and b["model_bytes"] for b in buffers)
        assert repacked == (memory[name] == "CPU_REPACK")


def powered(record: TypesRecord, watts: float) -> TypesRecord:
    """The record with the trace of a meter that was read every 0.1 ms and always showed the same."""
    channel = Channel("w", "power", "gauge", "W", "board", sensor="fake", update_period_s=1e-4)
    t = np.arange(record.phases[0].t0_ns - 10**7, record.phases[-1].t1_ns + 10**7, 100_000, dtype="<i8")
    trace = Trace(channel, t.tobytes(), np.full(len(t), watts, "<f8").tobytes())
    return msgspec.structs.replace(record, traces=(trace,))


def test_energy_is_watts_times_seconds(record: TypesRecord, built: Build, tmp_path: Path) -> None:
    settings = msgspec.structs.replace(SMALL, types=("Q4_K", "F16"), min_window_s=0.3)
    speeds = analyze.type_speeds(powered(found := measured(built, settings, tmp_path), 5.0))
    assert speeds.scope == "board"
    for t in found.types:
        phases = of(found, t.name)
        n_weights = len(phases) * t.n_matrices * SMALL.n_rows * SMALL.n_columns
        energy = speeds.types[t.name].j_per_gweight
        assert energy is not None
        assert energy.value == pytest.approx(5.0 * seconds(phases) / n_weights * 1e9, rel=1e-6)
    assert not any(n.code == "no-energy" for n in speeds.notes)
    # Without a meter, and with one whose readings tell nothing, there is no figure.
    assert all(s.j_per_gweight is None for s in analyze.type_speeds(record).types.values())
    late = msgspec.structs.replace(found, traces=tuple(_late(t) for t in powered(found, 5.0).traces))
    lost = analyze.type_speeds(late)
    assert all(s.j_per_gweight is None for s in lost.types.values())
    assert any(n.code == "no-energy" and "too late" in n.text for n in lost.notes)


def _late(trace: Trace) -> Trace:
    return msgspec.structs.replace(trace, t_ns_i64=trace.t_ns_i64[-80:], value_f64=trace.value_f64[-80:])


def test_a_turn_counts_once_whatever_it_has_of_passes() -> None:
    phases: list[Phase] = []
    at = 1
    for turn, (n_passes, ms) in enumerate([(1, 100), (7, 102), (2, 98)]):
        phases.append(Phase("load", "Q4_K", turn, 0, at, at))
        for _ in range(n_passes):
            phases.append(Phase("decode", "Q4_K", len(phases), 1, at, at + ms * 10**6))
            at += ms * 10**6
    settings = TypesSettings(("Q4_K",), "cpu", 1, n_rows=1000, n_columns=1024)
    host = Host("fake", "aarch64", 4, 4, (), (), "os", "kernel", 1 << 33, None, "3.11")
    build = Build("k", "cpu", "aarch64-linux-gnu", "c", (), "gcc", "/b", {}, {}, 1.0)
    kind = WeightType("Q4_K", "CPU", 10, 576, 1.0)
    found = TypesRecord(build, PROFILE, host, settings, (kind,), (Note("x", "y"),), tuple(phases), ())
    speed = analyze.type_speeds(found).types["Q4_K"]
    assert speed.weights_per_s.value == pytest.approx(10 * 1000 * 1024 / 0.1)
    assert speed.weights_per_s.se == pytest.approx(speed.weights_per_s.value * 0.02 / np.sqrt(3))
    assert speed.gb_s == pytest.approx(speed.weights_per_s.value * 4.5 / 8e9)
    assert speed.of_q8_0 is None


def invoke(*argv: object) -> Result:
    return CliRunner().invoke(cli, ["bench", *map(str, argv)], env={"COLUMNS": "140"})


def test_the_command_prints_what_it_has_saved(built: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(types, "TYPES", ("Q8_0", "Q4_K"))
    monkeypatch.setattr(types, "_N_ROUNDS", 2)
    profile = tmp_path / "mine.yaml"
    profile.write_text("name: mine\nsensors: []\n")
    argv = ["--types", profile, "--reps", 2, "--threads", 1, "--out", tmp_path / "out"]
    printed = invoke(*argv)
    assert printed.exit_code == 0, printed.output
    assert "Q8_0" in printed.stdout and "1 thread\n" in printed.stdout
    again = invoke(*argv, "--json")
    assert "measured before" in again.stderr
    record = store.load(tmp_path / "out" / "types-mine.json.gz", TypesRecord)
    assert msgspec.json.decode(again.stdout, type=TypeSpeeds) == analyze.type_speeds(record)


@pytest.mark.parametrize("more", [["model.gguf"], ["--tests", "pp8"], ["--profile", "local"], ["--replay", "x"]])
def test_what_needs_a_model_is_refused_beside_types(more: list[str]) -> None:
    done = invoke("--types", "local", *more)
    assert done.exit_code == 2
    assert f"takes no {'FILES' if len(more) == 1 else more[0]}" in done.output.replace("[FILES]...", "FILES")


def test_no_such_profile_another_machine_and_too_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(invoke("--types", "rpi55").exception, InputError)
    elsewhere = "rpi5-8gb" if device.host().arch == "x86_64" else "n100-16gb"
    assert isinstance(invoke("--types", elsewhere).exception, InputError)
    monkeypatch.setattr(device, "available_bytes", lambda: 512 << 20)
    assert bench.types_settings(PROFILE, n_reps=10, n_threads=1).total_mib == 128
    monkeypatch.setattr(device, "available_bytes", lambda: 100 << 20)
    error = invoke("--types", "local").exception
    assert isinstance(error, MissingError)
    assert "100 MiB" in error.text


def test_ctrl_c_leaves_no_record(built: Build, tmp_path: Path) -> None:
    argv = [*EDGEQ, "bench", "--types", "local", "--threads", "1", "--reps", "5000", "--out", str(tmp_path)]
    # As in test_run: the tests themselves may ignore the signal, and children inherit that.
    process = subprocess.Popen(
        argv,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stderr
    assert any("build" in line and "done" in line for line in process.stderr)
    time.sleep(1.0)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert list(tmp_path.iterdir()) == []
