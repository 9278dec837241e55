"""A ladder of 12 types from an empty pool against 12 runs of llama-quantize, with the same importance matrix."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import CALIBRATION, THREADS, built, cache_in, padded_of, say, timed
from edgeq import calibrate, quantize, store
from edgeq.records import Build, Gguf
from tests.conftest import smollm2_file

TYPES = (
    *("Q2_K", "Q3_K_S", "Q3_K_M", "Q3_K_L", "Q4_K_S", "Q4_K_M", "Q5_K_S", "Q5_K_M", "Q6_K", "Q8_0"),
    *("IQ4_XS", "IQ3_S"),
)


def run(b: Build, model: Gguf, pairs: int) -> None:
    """Print the ratios of wall times and of CPU times; ours include dry runs, hashing, the pool and the records."""
    recipes = [quantize.stock_recipe(t, b) for t in TYPES]
    ratios = []
    with store.scratch() as top:
        matrix = calibrate.calibrate(model, (CALIBRATION,), b, top / "imatrix.gguf", n_chunks=8, n_threads=THREADS)
        for i in range(pairs):
            start = _spent()
            with cache_in(top / f"cache{i}"):
                quantize.quantize(model, recipes, matrix, b, top / f"ours{i}", n_threads=THREADS)
            middle = _spent()
            for t in TYPES:
                timed(b.tool("quantize"), "--imatrix", matrix.path, model.path, top / "theirs.gguf", t, THREADS)
            ours, theirs = middle - start, _spent() - middle
            ratios.append(ours / theirs)
            say("quantize", f"wall and CPU seconds: {ours.round(1)} against {theirs.round(1)}")
    wall, cpu = np.median(ratios, axis=0)
    name = Path(model.path).stem
    say("quantize", f"12 types: {wall:.2f} of the time of 12 runs of llama-quantize, {cpu:.2f} of the CPU time, {name}")


def _spent() -> np.ndarray[Any, np.dtype[np.float64]]:
    """Wall time, and CPU time of this process and those that it has waited for, in seconds."""
    t = os.times()
    return np.array((t.elapsed, t.user + t.system + t.children_user + t.children_system))


if __name__ == "__main__":
    b = built()
    run(b, padded_of(smollm2_file()), pairs=1)
