"""A ladder of 12 types in one go against 12 runs of llama-quantize, with the same importance matrix."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from benchmarks.common import CALIBRATION, THREADS, say, timed
from edgeq import calibrate, quantize, store
from edgeq.records import Build, Gguf

TYPES = ("Q2_K", "Q3_K_S", "Q3_K_M", "Q4_0", "Q4_K_S", "Q4_K_M", "Q5_K_M", "Q6_K", "Q8_0", "IQ2_M", "IQ3_XXS", "IQ4_XS")


def run(b: Build, model: Gguf, pairs: int) -> None:
    """Print the ratio of wall times; ours includes dry runs, hashing and the records."""
    recipes = [quantize.stock_recipe(t, b) for t in TYPES]
    ratios = []
    with store.scratch() as top:
        matrix = calibrate.calibrate(model, (CALIBRATION,), b, top / "imatrix.gguf", n_chunks=8, n_threads=THREADS)
        for i in range(pairs):
            start = time.monotonic()
            quantize.quantize(model, recipes, matrix, b, top / f"ours{i}", n_threads=THREADS)
            ours = time.monotonic() - start
            theirs = sum(
                timed(b.tool("quantize"), "--imatrix", matrix.path, model.path, top / "theirs.gguf", t, THREADS)
                for t in TYPES
            )
            ratios.append(ours / theirs)
    shown = " ".join(f"{r:.2f}" for r in ratios)
    name, ratio = Path(model.path).stem, statistics.median(ratios)
    say("quantize", f"12 types: {ratio:.2f} of the time of 12 runs of llama-quantize ({shown}), {name}")
