"""Peak memory of assembling a file whose tensors have the shapes of a 7B model's: `python -m benchmarks.assembling`."""

from __future__ import annotations

import itertools
import resource
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.common import MODEL, THREADS, built, cache_in, say
from edgeq import models, quantize, store
from edgeq.records import Build
from edgeq.tensors import output
from edgeq.tensors.source import STEP_VALUES, Source

# Few layers, as only one tensor is worked on at a time; the tied embedding is that of a vocabulary of 128,256 tokens.
N_LAYERS, WIDTH, INNER, VOCABULARY = 2, 4096, 11008, 128256
LAYER = {
    "attn_norm": (WIDTH,),
    **dict.fromkeys(("attn_q", "attn_k", "attn_v", "attn_output"), (WIDTH, WIDTH)),
    "ffn_norm": (WIDTH,),
    **dict.fromkeys(("ffn_gate", "ffn_up"), (WIDTH, INNER)),
    "ffn_down": (INNER, WIDTH),
}
SHAPES = {
    "token_embd.weight": (WIDTH, VOCABULARY),
    **{f"blk.{i}.{name}.weight": shape for i in range(N_LAYERS) for name, shape in LAYER.items()},
    "output_norm.weight": (WIDTH,),
}
METADATA = {
    "llama.block_count": N_LAYERS,
    "llama.embedding_length": WIDTH,
    "llama.feed_forward_length": INNER,
    "llama.attention.head_count": WIDTH // 128,
    "llama.attention.head_count_kv": WIDTH // 128,
    "llama.vocab_size": VOCABULARY,
}
FILE_TYPE = "Q4_K_M"
ALLOWED_BYTES = 1 << 30  # beyond the largest tensor


def run(b: Build) -> None:
    """Print the peak of resident memory of the largest process that has run so far for this one."""
    with store.scratch() as folder, cache_in(folder / "cache"):
        path = folder / "synthetic-f16.gguf"
        planned = [(name, shape, "F16" if len(shape) > 1 else "F32") for name, shape in SHAPES.items()]
        output.write(path, Source(MODEL), planned, _weights, METADATA)
        source = models.describe(path)
        largest = max(t.n_bytes for t in Source(path).header.tensors)
        recipe = quantize.stock_recipe(FILE_TYPE, b, imatrix=False)
        (made,) = quantize.quantize(source, [recipe], None, b, folder, n_threads=THREADS)
    peak, limit = peak_bytes(), largest + ALLOWED_BYTES
    say("assembling", f"{source.n_bytes / 1e6:,.0f} MB of F16 to {made.n_bytes / 1e6:,.0f} MB of {FILE_TYPE}")
    say("assembling", f"peak of {peak:,} bytes against {limit:,}, the largest tensor ({largest:,}) and 1 GiB")


def peak_bytes() -> int:
    """Highest resident memory of any process that this one or those it started have started and waited for."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit


def _weights(name: str) -> Iterator[np.ndarray[Any, np.dtype[Any]]]:
    """Random weights, the same few million again and again: encoders take as long for them."""
    shape = SHAPES[name]
    if len(shape) == 1:
        yield np.ones(shape, np.float32)
        return
    n_values = int(np.prod(shape))
    piece = (np.random.default_rng(1).standard_normal(STEP_VALUES, np.float32) / 50).astype(np.float16)
    for start, stop in itertools.pairwise((*range(0, n_values, STEP_VALUES), n_values)):
        yield piece[: stop - start]


if __name__ == "__main__":
    run(built())
