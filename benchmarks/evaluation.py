"""One pass over 6 candidates against 1 + 6 runs of llama-perplexity, alternately, on the same tokens."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from benchmarks.common import TEXT, THREADS, say, timed
from edgeq import evaluate, quantize, store
from edgeq.records import Build, EvalSettings, Gguf

TYPES = ("Q3_K_M", "Q4_0", "Q4_K_M", "Q5_K_M", "Q6_K", "Q8_0")


def run(b: Build, model: Gguf, n_chunks: int, pairs: int) -> None:
    """Print the ratio of wall times, what either writes, and the cost of a scored token in whole long windows."""
    recipes = [quantize.stock_recipe(t, b, imatrix=False) for t in TYPES]
    folder = Path(model.path).parent / "ladder"
    candidates = quantize.quantize(model, recipes, None, b, store.make_folder(folder), n_threads=THREADS)
    ratios, per_token = [], []
    written = 0
    for _ in range(pairs):
        with store.scratch() as scratch:
            ours = _ours(b, model, candidates, n_chunks, 512, 256, scratch)
            written = sum(p.stat().st_size for p in scratch.rglob("*") if p.is_file())
        with store.scratch() as scratch:
            theirs, logits = _theirs(b, model, candidates, n_chunks, scratch)
        with store.scratch() as scratch:
            long = _ours(b, model, candidates, n_chunks // 4, 2048, 1, scratch)
        ratios.append(ours / theirs)
        per_token.append((long / (n_chunks // 4 * 2046)) / (ours / (n_chunks * 255)))
    name, cost = Path(model.path).parent.name, statistics.median(per_token)
    shown = " ".join(f"{r:.2f}" for r in ratios)
    say("evaluate", f"{statistics.median(ratios):.2f} of llama-perplexity's time ({shown}), {name}, {n_chunks} chunks")
    say("", f"written: {written / 1e6:.2f} MB of records against {logits / 1e6:.1f} MB of logits")
    say("", f"a scored token in whole windows of 2048 costs {cost:.2f} of one in second halves of 512")


def _ours(
    b: Build, model: Gguf, candidates: tuple[Gguf, ...], n_chunks: int, n_ctx: int, first: int, out: Path
) -> float:
    settings = EvalSettings(n_ctx=n_ctx, n_chunks=n_chunks, first=first, n_threads=THREADS)
    start = time.monotonic()
    evaluate.evaluate(model, [evaluate.Candidate(c) for c in candidates], (TEXT,), b, settings, out)
    return time.monotonic() - start


def _theirs(b: Build, model: Gguf, candidates: tuple[Gguf, ...], n_chunks: int, out: Path) -> tuple[float, int]:
    base = out / "base.kld"
    common = ("-c", 512, "--chunks", n_chunks, "-t", THREADS, "--kl-divergence-base", base)
    seconds = timed(b.tool("perplexity"), "-m", model.path, "-f", TEXT, *common)
    logits = base.stat().st_size
    for c in candidates:
        seconds += timed(b.tool("perplexity"), "-m", c.path, *common, "--kl-divergence")
    return seconds, logits
