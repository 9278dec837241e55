"""What refining costs, in time against ggml's own encoders and in memory: `python -m benchmarks.refining`."""

from __future__ import annotations

import multiprocessing
import re
import statistics
import time
from pathlib import Path

import numpy as np

from benchmarks.common import THREADS, built, say
from edgeq import store
from edgeq.records import Build
from edgeq.tensors.ggml import Floats, Ggml
from edgeq.tensors.refining import WINDOW, Refiner

TYPES = ("Q4_0", "Q3_K", "Q4_K")
WIDTHS = (576, 1536, 4096)
SHRINKAGE = 0.3
# The matrices of one of the 30 layers of SmolLM2-135M, (rows, columns): 576 and 1536 channels, padded.
LAYER = ((576, 768), (192, 768), (192, 768), (576, 768), (1536, 768), (1536, 768), (576, 1536))
# ffn_down of an 8B model. Its rows are encoded and refined some at a time.
DOWN_ROWS, DOWN_COLUMNS = 512, 14336
ALLOWED_BYTES = 1_200_000_000


def run(b: Build, pairs: int) -> None:
    """Print CPU seconds on one core, and the peak of resident memory of a process that refines a large matrix."""
    ggml, refiner = Ggml(Path(b.folder) / "bin" / "libggml-base.so", 1), Refiner(Path(b.tool("refine")), 1)
    for width in WIDTHS:
        for kind in TYPES if width % WINDOW == 0 else TYPES[:1]:
            _width(ggml, refiner, kind, width, pairs)
    _layer(ggml, refiner, pairs)
    with store.scratch() as folder:
        process = multiprocessing.get_context("spawn").Process(target=_memory, args=(b, folder))
        process.start()
        process.join()


def _width(ggml: Ggml, refiner: Refiner, kind: str, width: int, pairs: int) -> None:
    moments = _moments(width)
    rows = _weights((1 << 20) // width, width)
    blocks = ggml.encode(kind, rows, np.diagonal(moments).copy())
    forms = {"all moments": moments}
    if width % WINDOW == 0:
        forms["blocks of 256"] = np.stack([moments[i : i + WINDOW, i : i + WINDOW] for i in range(0, width, WINDOW)])
    for name, form in forms.items():
        seconds, refined = [], None
        for _ in range(pairs):
            start = time.process_time()
            refined = refiner.refine(kind, rows, blocks, form, SHRINKAGE)
            seconds.append(time.process_time() - start)
        assert refined is not None
        per_million = statistics.median(seconds) / rows.size * 1e6
        lost, share = refined.after / refined.before, refined.changed / rows.size
        text = f"{per_million:.3f} s per million weights; loss x {lost:.3f}, {share:.0%} of the codes changed"
        say("refining", f"{kind}, {width} columns, {name}: {text}")


def _layer(ggml: Ggml, refiner: Refiner, pairs: int) -> None:
    """Refining Q4_K against ggml's slowest common encoder, on the same rows."""
    moments = {width: _moments(width) for width in (768, 1536)}
    importance = {width: np.diagonal(m).copy() for width, m in moments.items()}
    matrices = [_weights(*shape) for shape in LAYER]
    encoded = [ggml.encode("Q4_K", w, importance[w.shape[1]]) for w in matrices]
    ratios = []
    for _ in range(pairs):
        start = time.process_time()
        for w, blocks in zip(matrices, encoded, strict=True):
            refiner.refine("Q4_K", w, blocks, moments[w.shape[1]], SHRINKAGE)
        middle = time.process_time()
        for w in matrices:
            ggml.encode("IQ3_S", w, importance[w.shape[1]])
        ratios.append((middle - start) / (time.process_time() - middle))
    ratio = statistics.median(ratios)
    say("refining", f"Q4_K, the seven matrices of a layer of SmolLM2-135M: {ratio:.2f} of the time of encoding IQ3_S")


def _memory(b: Build, folder: Path) -> None:
    path = folder / "moments"
    moments = np.memmap(path, np.float32, "w+", shape=(DOWN_COLUMNS, DOWN_COLUMNS))
    few = np.random.default_rng(1).standard_normal((DOWN_COLUMNS, 64), np.float32)
    for first in range(0, DOWN_COLUMNS, 1024):
        moments[first : first + 1024] = few[first : first + 1024] @ few.T / 64
    moments[np.diag_indices(DOWN_COLUMNS)] += 0.5
    importance = np.diagonal(moments).copy()
    rows = _weights(DOWN_ROWS, DOWN_COLUMNS)
    blocks = Ggml(Path(b.folder) / "bin" / "libggml-base.so", THREADS).encode("Q4_K", rows, importance)
    start = time.monotonic()
    Refiner(Path(b.tool("refine")), THREADS).refine("Q4_K", rows, blocks, moments, SHRINKAGE)
    seconds = time.monotonic() - start
    peak = int(re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[0]) * 1024
    text = f"{seconds:.0f} s on {THREADS} cores, peak of {peak:,} bytes against {ALLOWED_BYTES:,}"
    say("refining", f"Q4_K, {DOWN_ROWS} rows of {DOWN_COLUMNS} columns, all moments ({moments.nbytes:,}): {text}")


def _weights(n_rows: int, n_columns: int) -> Floats:
    return np.random.default_rng(2).standard_normal((n_rows, n_columns), np.float32) / 50


def _moments(width: int) -> Floats:
    """Of Gaussian inputs that are correlated and of different sizes, as activations are."""
    random = np.random.default_rng(3)
    mixed = random.standard_normal((2 * width, width // 4), np.float32) @ random.standard_normal(
        (width // 4, width), np.float32
    )
    x = mixed / np.sqrt(width // 4) + random.standard_normal(mixed.shape, np.float32) / 2
    x *= np.exp(random.standard_normal(width, np.float32) / 2)
    return (x.T @ x / len(x)).astype(np.float32)


if __name__ == "__main__":
    run(built(), pairs=5)
