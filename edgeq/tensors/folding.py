"""Activation-aware scales (AWQ, arXiv 2306.00978), folded into the weights: a file of the same types and functions.

A column of a matrix that reads large activations is scaled up, so that its rounding errors weigh less, and what makes
that channel is scaled down by the same factor: a norm, or the rows of the matrix before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgeq.gguf_info import TYPE_NAMED
from edgeq.tensors import importance as importances
from edgeq.tensors import output
from edgeq.tensors.factors import Factors
from edgeq.tensors.families import Link
from edgeq.tensors.ggml import Ggml
from edgeq.tensors.refused import Refused
from edgeq.tensors.source import Source, Tensor
from edgeq.tensors.work import Importance

Floats = np.ndarray[Any, np.dtype[np.float32]]

# A channel's scale is E[x²]^(alpha/2). 0 comes first: nothing is scaled unless it is better.
ALPHAS = (0.0, 0.15, 0.3, 0.45, 0.6, 0.75)
_SAMPLED_ROWS = 256
# Share of the mean E[x²] below which a channel carries nothing (padding) and keeps its scale.
_SILENT = 1e-8
# Of a tensor's sum of squares: what F16 may lose of it. Rounding alone loses 4e-8, an underflow more.
_F16_LOSS = 1e-6


@dataclass(frozen=True)
class Choice:
    """The scales of one link's channels, (n_channels,)."""

    alpha: float
    scales: Floats


@dataclass(frozen=True)
class Search:
    """Scales for links of ``source``. ``types``: of the file to be made; ``weigh``: its encoder gets ``importance``."""

    source: Source
    importance: Importance
    types: Mapping[str, str]
    ggml: Ggml
    weigh: bool
    alphas: tuple[float, ...] = ALPHAS

    def choose(self, link: Link) -> Choice:
        """The exponent with the smallest error of the outputs, E[x²]·(W' - W)², on up to 256 rows of each matrix.

        Raises Refused where the importance matrix does not fit.
        """
        tensors = [self.source.tensors[name] for name in link.columns]
        moments = [importances.of(self.importance, t) for t in tensors]
        rows = [_sample(t) for t in tensors]
        channels = link.channel_of_column
        heard = np.bincount(channels, np.mean(moments, axis=0), link.n_channels) / np.bincount(channels)
        used = np.bincount(channels, np.any([r.any(axis=0) for r in rows], axis=0), link.n_channels) > 0
        live = used & (heard > _SILENT * heard.mean())
        tried = []
        for alpha in self.alphas:
            scales = np.ones(link.n_channels, np.float32)
            logs = np.log(heard[live]) * alpha / 2
            scales[live] = np.exp(logs - logs.mean()) if live.any() else 1
            error = sum(self._error(t, r, m, scales[channels]) for t, r, m in zip(tensors, rows, moments, strict=True))
            tried.append((error, alpha, scales))
        _, alpha, scales = min(tried, key=lambda t: t[0])
        return Choice(alpha, scales)

    def _error(self, tensor: Tensor, rows: Floats, moments: Floats, scales: Floats) -> float:
        kind = self.types[tensor.name]
        if TYPE_NAMED[kind].block == 1:
            return 0.0
        blocks = self.ggml.encode(kind, rows * scales, moments / scales**2 if self.weigh else None)
        lost = self.ggml.decode(kind, blocks, tensor.row_length) / scales - rows
        squares = np.square(lost, dtype=np.float64).sum(axis=0)
        return float(squares @ moments) * tensor.n_rows / len(rows)


def rescaled(importance: Importance, factors: Factors) -> Importance:
    """The importance matrix of the folded model: E[x²] of inputs that are divided by the columns' scales."""
    return {
        name: (values / factors.columns[name] ** 2).astype(np.float32) if name in factors.columns else values
        for name, values in importance.items()
    }


def write(source: Source, factors: Factors, out: Path, on_progress: Callable[[int, int], None]) -> None:
    """The source with these factors in its weights; tensors that change are F32 if they were, and else F16.

    Raises Refused for weights that F16 can't hold.
    """
    changed = factors.rows.keys() | factors.columns.keys()
    kinds = {n: "F16" if n in changed and t.type != "F32" else t.type for n, t in source.tensors.items()}

    def data(name: str) -> np.ndarray[Any, Any]:
        tensor = source.tensors[name]
        return _folded(tensor, factors, kinds[name]) if name in changed else tensor.raw

    planned = [(n, t.shape, kinds[n]) for n, t in source.tensors.items()]
    output.write(out, source, planned, data, on_progress=on_progress)


def _folded(tensor: Tensor, factors: Factors, kind: str) -> np.ndarray[Any, Any]:
    stored = np.empty((tensor.n_rows, tensor.row_length), np.float32 if kind == "F32" else np.float16)
    lost = total = 0.0
    for start, stop in tensor.steps():
        values = factors.scaled(tensor, start, stop)
        with np.errstate(over="ignore"):
            stored[start:stop] = values
        lost += float(np.square(stored[start:stop] - values).sum(dtype=np.float64))
        total += float(np.square(values).sum(dtype=np.float64))
    if not lost <= _F16_LOSS * total:
        raise Refused(f"{tensor.name} does not fit into F16 after folding: convert the model to F32 first")
    return stored


def _sample(tensor: Tensor) -> Floats:
    n = min(tensor.n_rows, _SAMPLED_ROWS)
    picked = np.linspace(0, tensor.n_rows - 1, n).round().astype(int)
    return np.concatenate([tensor.rows(i, i + 1) for i in picked])
