"""edgeq-bench: what its phases promise to everything that is computed from them."""

from __future__ import annotations

import itertools
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pytest

from edgeq import device, programs
from edgeq.errors import InputError
from edgeq.records import Build, Gguf, Phase
from edgeq.tensors import output

N_THREADS = 2
IDLE_S = 0.6
WINDOW_S = 0.2
TESTS = ("pp32", "tg40@d16")
TIMED = ("prefill", "decode")

of_linux = pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="the kernel does not tell of threads")


class Threads:
    """What all threads of a process have done so far, again and again, from the kernel's /proc/PID/task/*/schedstat."""

    def __init__(self) -> None:
        self._rows: list[tuple[int, float, float, float]] = []
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def follow(self, guard_pid: int) -> None:
        self._thread = threading.Thread(target=self._watch, args=(guard_pid,))
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread:
            self._thread.join()

    def between(self, phase: Phase) -> tuple[float, float, float]:
        """(seconds of running, seconds of waiting for a core, times of being woken) within a phase."""
        t, *columns = zip(*self._rows, strict=True)
        run, wait, n = (float(np.diff(np.interp((phase.t0_ns, phase.t1_ns), t, c))[0]) for c in columns)
        return run / 1e9, wait / 1e9, n

    def _watch(self, guard_pid: int) -> None:
        tasks = Path(f"/proc/{device.child_pid(guard_pid)}/task")
        while not self._stop.wait(0.005):
            before = time.monotonic_ns()
            try:
                each = [[float(x) for x in (p / "schedstat").read_text().split()] for p in tasks.iterdir()]
            except OSError:  # a thread, or the process, has just ended
                continue
            self._rows.append(((before + time.monotonic_ns()) // 2, *map(sum, zip(*each, strict=True))))


class Run(NamedTuple):
    phases: list[Phase]
    memory: dict[str, dict[str, int | None]]
    buffers: list[dict[str, Any]]
    started_ns: int
    ended_ns: int
    threads: Threads

    def of(self, *kinds: str, test: str | None = None) -> list[Phase]:
        return [p for p in self.phases if p.kind in kinds and p.test == test]


def run(build: Build, model: str | Path, *options: object) -> Run:
    argv = ["--model", str(model), "--threads", str(N_THREADS), *map(str, options)]
    threads = Threads()
    started_ns = time.monotonic_ns()
    try:
        events = programs.native(build, "bench", argv, what="benching", on_start=threads.follow)
    finally:
        threads.stop()
    ended_ns = time.monotonic_ns()
    found: dict[str, list[dict[str, Any]]] = {}
    for e in events:
        found.setdefault(str(e.pop("event")), []).append(e)
    phases = [msgspec.convert(e, Phase) for e in found["phase"]]
    memory = {e.pop("at"): e for e in found["memory"]}
    return Run(phases, memory, found["buffers"], started_ns, ended_ns, threads)


@pytest.fixture(scope="module")
def everything(built: Build, model: Gguf) -> Run:
    return run(built, model.path, "--test", "32,0,0", "--test", "0,40,16", "--reps", 3, "--min-window", WINDOW_S,
               "--idle", IDLE_S, "--sync", 0.1)  # fmt: skip


@pytest.fixture(scope="module")
def plain(built: Build, model: Gguf) -> Run:
    return run(built, model.path, "--test", "32,0,0", "--reps", 3)


def test_phases_have_their_order_and_never_overlap(everything: Run) -> None:
    order = [kind for (kind, _), _ in itertools.groupby(everything.phases, lambda p: (p.kind, p.test))]
    assert order == ["load", "sync", "loaded", "warmup", "prefill", "fill", "warmup", "decode", "loaded", "sync"]
    stamps = [t for p in everything.phases for t in (p.t0_ns, p.t1_ns)]
    assert stamps == sorted(stamps)


def test_phases_are_on_the_clock_of_the_sensors(everything: Run) -> None:
    assert everything.started_ns < everything.phases[0].t0_ns
    assert everything.phases[-1].t1_ns < everything.ended_ns
    spent_s = (everything.phases[-1].t1_ns - everything.phases[0].t0_ns) / 1e9
    assert spent_s > 0.9 * (everything.ended_ns - everything.started_ns) / 1e9 - 0.5


@pytest.mark.parametrize("test", TESTS)
def test_warm_ups_go_on_until_the_last_three_agree(everything: Run, test: str) -> None:
    warm_ups = everything.of("warmup", test=test)
    assert [p.rep for p in warm_ups] == list(range(len(warm_ups)))
    assert {p.n_tokens for p in warm_ups} == {32}
    times = [p.t1_ns - p.t0_ns for p in warm_ups]
    agree = [max(t) - min(t) <= 0.02 * sorted(t)[1] for t in zip(times, times[1:], times[2:], strict=False)]
    assert not any(agree[:-1])
    assert agree[-1] or len(warm_ups) == 10


@pytest.mark.parametrize("test", TESTS)
def test_repetitions_fill_the_window_and_no_more(everything: Run, test: str) -> None:
    reps = everything.of(*TIMED, test=test)
    assert [p.rep for p in reps] == list(range(len(reps)))
    times = [(p.t1_ns - p.t0_ns) / 1e9 for p in reps]
    assert sum(times) >= WINDOW_S
    assert sum(times[:-1]) < WINDOW_S or len(reps) == 3


def test_without_a_window_there_are_as_many_repetitions_as_asked_for(plain: Run) -> None:
    assert len(plain.of("prefill", test="pp32")) == 3
    assert {p.kind for p in plain.phases} == {"load", "warmup", "prefill"}


def test_a_window_that_can_not_be_filled_ends(built: Build, model: Gguf) -> None:
    endless = run(built, model.path, "--test", "1,0,0", "--reps", 1, "--min-window", 86400)
    assert len(endless.of("prefill", test="pp1")) == 10_000


def test_tokens_are_stamped_within_their_repetition(everything: Run) -> None:
    for p in everything.of("decode", test="tg40@d16"):
        assert p.token_ns is not None
        assert len(p.token_ns) == p.n_tokens == 40
        assert [0, *p.token_ns, p.t1_ns - p.t0_ns] == sorted((0, *p.token_ns, p.t1_ns - p.t0_ns))


@of_linux
def test_a_loaded_model_rests_without_polling(everything: Run) -> None:
    before, after = everything.of("loaded")
    assert (before.rep, after.rep) == (0, 1)
    for phase in (before, after):
        duration_s = (phase.t1_ns - phase.t0_ns) / 1e9
        assert IDLE_S <= duration_s < IDLE_S + 0.3
        run_s, _, n_woken = everything.threads.between(phase)
        assert run_s < 0.02 * duration_s
        assert n_woken < 10


def bursts(everything: Run) -> Iterator[list[Phase]]:
    """The two groups of load bursts."""
    first = next(p for p in everything.phases if p.kind in TIMED)
    yield [p for p in everything.of("sync") if p.t1_ns < first.t0_ns]
    yield [p for p in everything.of("sync") if p.t0_ns > first.t1_ns]


def test_load_bursts_lie_before_and_after_everything_else(everything: Run) -> None:
    before, after = bursts(everything)
    assert [p.rep for p in before + after] == list(range(8))
    assert len(before) == len(after) == 4


@of_linux
def test_load_bursts_keep_every_thread_busy(everything: Run) -> None:
    for phase in everything.of("sync"):
        run_s, wait_s, _ = everything.threads.between(phase)
        full_s = N_THREADS * (phase.t1_ns - phase.t0_ns) / 1e9
        assert run_s + wait_s == pytest.approx(full_s, rel=0.15, abs=0.02)


def test_load_bursts_fit_themselves_at_one_shift_only(everything: Run) -> None:
    step_ns = 5_000_000
    for group in bursts(everything):
        t = np.arange(group[0].t0_ns, group[-1].t1_ns, step_ns)
        busy = np.sum([(t >= p.t0_ns) & (t < p.t1_ns) for p in group], axis=0).astype(float)
        overlap = np.correlate(busy, busy, "full") / busy.sum()
        shift_s = np.abs(np.arange(len(overlap)) - len(busy) + 1) * step_ns / 1e9
        assert overlap[shift_s > 0.2].max() < 0.5


def test_pages_of_the_model_are_told_from_other_memory(plain: Run, model: Gguf) -> None:
    assert list(plain.memory) == ["load", "pp32", "end"]
    for event in plain.memory.values():
        mapped, rss = event["model_mapped_bytes"], event["rss_bytes"]
        assert mapped == pytest.approx(model.n_bytes, rel=0.02)
        assert rss is not None
        assert mapped is not None
        assert rss > mapped


def test_repacked_weights_are_memory_beside_the_pages_of_the_file(built: Build, model: Gguf, tmp_path: Path) -> None:
    path = tmp_path / "q4_0.gguf"
    subprocess.run([built.tool("quantize"), model.path, path, "Q4_0", "2"], check=True, capture_output=True)
    done = run(built, path, "--test", "0,8,0", "--reps", 1)
    repacked = sum(b["model_bytes"] for b in done.buffers if b["device"] == "CPU_REPACK")
    mapped, rss = done.memory["tg8"]["model_mapped_bytes"], done.memory["tg8"]["rss_bytes"]
    assert mapped is not None
    assert rss is not None
    assert 0 < mapped <= path.stat().st_size + 8192
    assert rss > mapped + repacked


def test_an_adapter_is_loaded_beside_the_model(built: Build, model: Gguf, plain: Run, tmp_path: Path) -> None:
    path, rank = tmp_path / "adapter.gguf", 4096
    factors = {"lora_a": np.ones((rank, 256)), "lora_b": np.zeros((256, rank))}
    tensors = {f"blk.{i}.attn_q.weight.{n}": x for i in range(6) for n, x in factors.items()}
    output.write_adapter(path, "llama", tensors, rank, "F32", "test")
    done = run(built, model.path, "--test", "32,0,0", "--reps", 1, "--adapter", path)
    more = (done.memory["load"]["rss_bytes"] or 0) - (plain.memory["load"]["rss_bytes"] or 0)
    assert more == pytest.approx(path.stat().st_size, rel=0.1)
    # It is computed with: its products are the largest there are.
    context, without = (sum(b["compute_bytes"] for b in r.buffers) for r in (done, plain))
    assert context > without
    with pytest.raises(InputError, match="can't load the adapter"):
        run(built, model.path, "--test", "1,0,0", "--adapter", model.path)


def test_all_parts_of_a_split_model_count_also_through_links(built: Build, model: Gguf, tmp_path: Path) -> None:
    (tmp_path / "blobs").mkdir()
    subprocess.run(
        [built.tool("gguf-split"), "--split-max-size", "4M", model.path, tmp_path / "blobs" / "a part"],
        check=True, capture_output=True,
    )  # fmt: skip
    parts = sorted((tmp_path / "blobs").iterdir())
    assert len(parts) == 3
    for i, part in enumerate(parts):  # as the cache of Hugging Face's hub keeps them
        (tmp_path / part.name).symlink_to(part.rename(part.with_name(f"sha256-{i}")))
    done = run(built, tmp_path / parts[0].name, "--test", "1,0,0", "--reps", 1)
    assert done.memory["end"]["model_mapped_bytes"] == pytest.approx(model.n_bytes, rel=0.02)


@pytest.mark.parametrize(
    "options", [("--idle", "-1"), ("--idle", "nan"), ("--min-window", "2 s"), ("--sync", ""), ("--sync", "1e9")]
)
def test_a_wrong_number_of_seconds_is_refused(built: Build, tmp_path: Path, options: tuple[str, str]) -> None:
    argv = ["--model", "none", "--threads", "1", "--test", "1,0,0", "--events", str(tmp_path / "e"), *options]
    done = subprocess.run([built.tool("bench"), *argv], capture_output=True, text=True)
    assert done.returncode == 2
    assert options[0] in done.stderr
