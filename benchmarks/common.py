"""What the benchmarks share: the build, a model with a real vocabulary, timing of programs."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from edgeq import build, convert, models, quantize, store
from edgeq.device import physical_cores
from edgeq.records import Build, Gguf

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "tests" / "model" / "edgeq-5m-f16.gguf"
TEXT = ROOT / "tests" / "text" / "evaluation" / "philosophy.txt"
CALIBRATION = ROOT / "tests" / "text" / "calibration" / "religion.txt"
THREADS = physical_cores()


def built() -> Build:
    """The CPU build."""
    return build.build()


def timed(*argv: object) -> float:
    """Seconds that a program takes; it must succeed."""
    start = time.monotonic()
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True)
    seconds = time.monotonic() - start
    if done.returncode:
        raise SystemExit(f"{argv[0]} failed: {done.stderr[-500:]}")
    return seconds


def f16_of(source: Path, b: Build) -> Gguf:
    """An F16 copy of a quantized model: the same work per token as a real F16 model of this shape."""
    folder = store.make_folder(store.cache_dir() / "benchmarks" / source.stem)
    recipe = quantize.stock_recipe("F16", b, imatrix=False)
    return quantize.quantize(models.describe(source), [recipe], None, b, folder, n_threads=THREADS)[0]


def padded_of(source: Path) -> Gguf:
    """A quantized model in F16 off its grid, with rows for every type: encoding it is like a real F16 model."""
    folder = store.make_folder(store.cache_dir() / "benchmarks" / source.stem)
    return convert.convert(str(source), folder, regrid=True, pad_rows=256)


@contextlib.contextmanager
def cache_in(folder: Path) -> Iterator[None]:
    """An empty cache, and so an empty pool, for this process and those it starts; the build stays where it is."""
    before = os.environ.get("EDGEQ_CACHE")
    os.environ["EDGEQ_CACHE"] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ["EDGEQ_CACHE"]
        else:
            os.environ["EDGEQ_CACHE"] = before


def say(name: str, text: str) -> None:
    """One result line."""
    print(f"{name:12} {text}", flush=True)
