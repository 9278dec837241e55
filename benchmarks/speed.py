"""Our bench against llama-bench, run alternately: the median of the ratios of tokens/s."""

from __future__ import annotations

import json
import statistics
import subprocess
from pathlib import Path

from benchmarks.common import THREADS, say
from edgeq import analyze, bench, plugins, store
from edgeq.access import Access
from edgeq.instruments import Instruments
from edgeq.records import BenchRecord, Build, Gguf, Profile

TESTS = ("pp512", "tg128")


def run(b: Build, model: Gguf, pairs: int, reps: int) -> None:
    """Print one line per test. The order within a pair is swapped each time, so that drift cancels."""
    ratios: dict[str, list[float]] = {t: [] for t in TESTS}
    for i in range(pairs):
        order = (_ours, _theirs) if i % 2 == 0 else (_theirs, _ours)
        got = {f.__name__: f(b, model, reps) for f in order}
        for t in TESTS:
            ratios[t].append(got["_ours"][t] / got["_theirs"][t])
    for t in TESTS:
        low, middle, high = statistics.quantiles(ratios[t], n=4)
        spread = f"middle half {low:.3f} to {high:.3f}, {pairs} pairs"
        say("bench", f"{t}: {middle:.3f} of llama-bench's t/s ({spread}), {Path(model.path).stem}")


def _ours(b: Build, model: Gguf, reps: int) -> dict[str, float]:
    return {s.test: s.tps.value for s in analyze.speeds(measured(b, model, TESTS, reps, Instruments()))}


def measured(b: Build, model: Gguf, tests: tuple[str, ...], reps: int, found: Instruments) -> BenchRecord:
    """One bench with these instruments, whose record is not kept."""
    access = Access(profile=plugins.settings("profiles", "local", Profile))
    settings = bench.settings(access.profile, tests, n_reps=reps, n_threads=THREADS)
    with store.scratch() as folder:
        return bench.Bench(b, access, found, settings, folder).measure(model)


def _theirs(b: Build, model: Gguf, reps: int) -> dict[str, float]:
    argv = [b.tool("llama-bench"), "-m", model.path, "-p", "512", "-n", "128", "-r", str(reps), "-t", str(THREADS)]
    done = subprocess.run([*argv, "-o", "json"], capture_output=True, text=True, check=True)
    rows = json.loads(done.stdout)
    return {f"pp{r['n_prompt']}" if r["n_prompt"] else f"tg{r['n_gen']}": r["avg_ts"] for r in rows}
