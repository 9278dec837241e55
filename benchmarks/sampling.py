"""What measuring costs what is measured: t/s with and without sensors read at 20 Hz, alternately; and the analysis."""

from __future__ import annotations

import contextlib
import itertools
import statistics
import tempfile
import time
from pathlib import Path

import msgspec
import numpy as np

from benchmarks.common import say
from benchmarks.speed import measured
from edgeq import analyze, instruments
from edgeq.access import Access
from edgeq.instruments import Instruments
from edgeq.records import BenchRecord, Build, Channel, Gguf, Phase, Trace
from tests.sysroots import jetson
from tests.sysroots.machine import Machine

TEST = "tg128"
HOURS, HZ, CHANNELS = 2, 20, 8


def run(b: Build, model: Gguf, pairs: int, reps: int) -> None:
    """Print the ratio of t/s, the sampler's share of a core, and the time to analyze a long record."""
    ratios, shares = [], []
    with tempfile.TemporaryDirectory() as root:
        # The files of a Jetson's two power chips, plain ones here, and this machine's own memory.
        machine = Machine(Path(root))
        jetson.agx_orin(machine)
        for path, content in machine.live.items():
            with contextlib.suppress(OSError):
                path.write_text(str(content(0.0)))
        for i in range(pairs):
            tps = {}
            for sampled in (True, False) if i % 2 == 0 else (False, True):
                record = measured(b, model, (TEST,), reps, _sensors(Path(root)) if sampled else Instruments())
                tps[sampled] = analyze.speeds(record)[0].tps.value
                if sampled:
                    seconds = (record.phases[-1].t1_ns - record.phases[0].t0_ns) / 1e9
                    shares.append((record.sampler_cpu_s or 0.0) / seconds)
            ratios.append(tps[True] / tps[False])
    low, middle, high = statistics.quantiles(ratios, n=4)
    say("sampling", f"{TEST}: {middle:.3f} of the t/s without (middle half {low:.3f} to {high:.3f}, {pairs} pairs)")
    say("sampling", f"CPU share of the sampler: {statistics.median(shares):.2%} of one core")
    start = time.monotonic()
    analyze.summarize([long_record(record)], [])
    seconds = time.monotonic() - start
    say("analysis", f"{seconds:.2f} s for a record of {HOURS} h with {CHANNELS} power channels at {HZ} Hz")


def _sensors(root: Path) -> Instruments:
    found = Instruments()
    instruments.probe_into(found, "ina", Access(root=root))
    for name in ("process_memory", "system_memory"):
        instruments.probe_into(found, name, Access())
    found.sensors["ina"].period_s = 1 / HZ
    return found


def long_record(like: BenchRecord) -> BenchRecord:
    """A record of two hours of prefill and decode in 200 repetitions, with eight power channels."""
    rng = np.random.default_rng(0)
    n = HOURS * 3600 * HZ
    t = (np.cumsum(rng.uniform(0.7, 1.3, n)) / HZ * 1e9).astype("<i8")
    traces = tuple(
        Trace(
            Channel(f"rail{i}", "power", "gauge", "W", "module", 0.0066, lsb=0.04, sensor="ina"),
            t.tobytes(),
            rng.normal(2.0, 0.3, n).astype("<f8").tobytes(),
        )
        for i in range(CHANNELS)
    )
    edges = np.linspace(60e9, t[-1] - 60e9, 201).astype(int).tolist()
    idle = [(0, int(t[0]), edges[0]), (1, edges[-1], int(t[-1]))]
    phases = (
        *(Phase("idle", None, rep, 0, a, b) for rep, a, b in idle),
        *(Phase("decode", TEST, i, 128, a, b, ()) for i, (a, b) in enumerate(itertools.pairwise(edges))),
    )
    return msgspec.structs.replace(like, phases=phases, traces=traces)
