"""How long encoding with our own scales takes against ggml's encoder of the same format, on one core."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import numpy as np

from benchmarks.common import built, say
from edgeq import store
from edgeq.gguf_info import TensorInfo
from edgeq.records import Build
from edgeq.tensors import containers
from edgeq.tensors.ggml import Ggml
from edgeq.tensors.source import Tensor

# A feed-forward matrix of a model of 7B: 90 MB in F16.
SHAPE = (4096, 11008)
GROUPS = (("Q4_0", "per-channel", SHAPE[0]), ("Q4_0", "per-tensor", None), ("Q4_1", "group of 64", 64))


def run(b: Build, pairs: int) -> None:
    """Print seconds for each GB of F16 weights, decoding them included, and the ratio to ggml's encoder."""
    ggml = Ggml(Path(b.folder) / "bin" / "libggml-base.so", 1)
    with store.scratch() as folder:
        path = folder / "weights"
        values = np.random.default_rng(1).standard_normal(SHAPE[::-1], np.float32) / 50
        path.write_bytes(values.astype(np.float16).tobytes())
        tensor = Tensor(TensorInfo("w", SHAPE, "F16", values.size, 2 * values.size, 0), path)
        for kind, name, group in GROUPS:
            turns = [(_ours(tensor, kind, group), _theirs(ggml, tensor, kind)) for _ in range(pairs)]
            per_gb = statistics.median(ours for ours, _ in turns) / (tensor.info.n_bytes / 1e9)
            ratio = statistics.median(ours / theirs for ours, theirs in turns)
            say("packers", f"{kind} {name}: {per_gb:.1f} s per GB of F16, {ratio:.2f} of the time of ggml's encoder")


def _ours(tensor: Tensor, kind: str, group: int | None) -> float:
    start = time.process_time()
    for _ in containers.encoded(tensor, kind, group):
        pass
    return time.process_time() - start


def _theirs(ggml: Ggml, tensor: Tensor, kind: str) -> float:
    start = time.process_time()
    for first, stop in tensor.steps(1 << 18):
        ggml.encode(kind, tensor.rows(first, stop))
    return time.process_time() - start


if __name__ == "__main__":
    run(built(), pairs=7)
