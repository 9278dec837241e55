"""What a search for mixed types costs: 210 probes of SmolLM2-135M (padded) on about 1,000 tokens, and solving."""

from __future__ import annotations

import time
from pathlib import Path

from benchmarks.common import CALIBRATION, THREADS, built, padded_of, say
from edgeq import allocate, calibrate, gguf_info, quantize, store
from edgeq.allocate import Base, Solver, Target
from edgeq.records import Build, Gguf
from tests.conftest import smollm2_file

TYPES = ("Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "Q8_0")
BPW = (3.0, 3.5, 4.0, 4.5, 5.0)


def run(b: Build, model: Gguf) -> None:
    """Print minutes of the probes, with their encoding, and seconds of solving for one target."""
    own = {t.name: t.type for t in gguf_info.read_header(Path(model.path)).tensors}
    with store.scratch() as top:
        matrix = calibrate.calibrate(model, (CALIBRATION,), b, top / "imatrix.gguf", n_chunks=8, n_threads=THREADS)
        recipe = quantize.stock_recipe("Q4_K_M", b)
        (p,) = quantize.plan(model, [recipe], matrix, b)
        changed = {n: t for n, t in p.tensor_types.items() if t != own[n]}
        found = allocate.measure(model, matrix, (CALIBRATION,), changed, b, top, types=TYPES, n_threads=THREADS)
        n = len(found.probes) + len(found.whole)
        say("probe", f"{found.seconds / 60:.1f} minutes: {n} probes on {found.n_tokens} tokens, error table, encoding")
        solver = Solver(found, allocate.weighed(matrix), [Base("Q4_K_M", p.n_bytes, changed)])
        times = []
        for bpw in BPW:
            start = time.monotonic()
            solver.solve(Target(f"{bpw}bpw", int(bpw * model.n_params / 8)))
            times.append(time.monotonic() - start)
        say("solve", f"{max(times):.2f} s for the slowest of {len(BPW)} targets")


if __name__ == "__main__":
    run(built(), padded_of(smollm2_file()))
