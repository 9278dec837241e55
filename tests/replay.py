"""A bench of a fake machine: its real adapters, the real recorder, virtual time; only the model is missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgeq import instruments, store
from edgeq.recorder import Recorder
from edgeq.records import BenchRecord, BenchSettings, BenchTest, Build, Gguf, Host, Phase, Profile
from tests.sysroots.machine import DECODE_S, DONE_S, END_S, IDLE_S, LOAD_S, N_REPS, PREFILL_S, REP_S, Machine

N_PROMPT, N_GEN = 512, 128
TESTS = (BenchTest(N_PROMPT, 0), BenchTest(0, N_GEN))
_STEP_S = 0.1


def bench(machine: Machine, *, profile: Profile | None = None, turn: int = 0, **access_to: Any) -> BenchRecord:
    """What a bench of the machine's timetable would have written down. ``access_to``: fields of its Access."""
    access = machine.access(profile=profile or Profile("fake"), **access_to)
    with instruments.opened(access) as found:
        recorder = Recorder(found.sensors, access, _STEP_S)
        machine.t_s = 0.0  # some sensors have watched for a while before they answered
        begun = machine.clock()

        def until(t_s: float) -> None:
            while machine.t_s < t_s - 1e-9:
                machine.t_s = min(t_s, machine.t_s + _STEP_S)
                recorder.sample()

        with recorder.idle():
            until(IDLE_S)
        until(DONE_S)
        with recorder.idle():
            until(END_S)
        until(END_S + found.settle_s)
        return BenchRecord(
            model=Gguf("m.gguf", "m", 10**9, "llama", "fake", 10**9, 16, "Q4_K_M", 4.85, {"Q4_K": 10**9}, 1.0),
            build=Build("k", "cpu", "aarch64-linux-gnu", "c", (), "gcc", "/b", {}, {}, 1.0),
            profile=access.profile,
            host=Host("fake", "aarch64", 4, 4, (), (), "os", "kernel", 1 << 33, None, "3.11"),
            settings=BenchSettings(TESTS, n_reps=N_REPS, idle_s=IDLE_S),
            phases=phases(lambda t_s: begun + round(t_s * 1e9)),
            traces=recorder.traces(),
            buffers=(),
            rss_peak_bytes=1 << 30,
            rss_after_load_bytes=1 << 29,
            missing=found.missing(access.profile.sensors),
            sampling=recorder.sampling(),
            turn=turn,
        )


def phases(at: Callable[[float], int]) -> tuple[Phase, ...]:
    """The timetable of all fake machines as phases."""
    found = [Phase("idle", None, 0, 0, at(0), at(IDLE_S)), Phase("load", None, 0, 0, at(IDLE_S), at(IDLE_S + LOAD_S))]
    for kind, start, test, n in (("prefill", PREFILL_S, *_named(0)), ("decode", DECODE_S, *_named(1))):
        for rep in range(N_REPS):
            t0 = start + rep * REP_S
            tokens = tuple(round((i + 1) * REP_S / n * 1e9) for i in range(n)) if kind == "decode" else None
            found.append(Phase(kind, test, rep, n, at(t0), at(t0 + REP_S), tokens))  # type: ignore[arg-type]
    return (*found, Phase("idle", None, 1, 0, at(DONE_S), at(END_S)))


def _named(i: int) -> tuple[str, int]:
    return TESTS[i].name, TESTS[i].n_prompt + TESTS[i].n_gen


def write(record: BenchRecord, folder: Path) -> Path:
    """The record as a file that ``edgeq bench --replay`` takes."""
    path = folder / "bench-fake.json.gz"
    store.save(path, record, "fake")
    return path
