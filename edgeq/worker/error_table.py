"""How much of each tensor is lost in each type, by ggml's own encoders on sampled rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edgeq.tensors import families, folding
from edgeq.tensors import importance as importances
from edgeq.tensors.factors import Factors
from edgeq.tensors.ggml import Ggml
from edgeq.tensors.source import Source, Tensor
from edgeq.tensors.work import Importance
from edgeq.worker.dry_run import library
from edgeq.worker.events import Events
from edgeq.worker.imatrix import read_imatrix

Floats = np.ndarray[Any, np.dtype[np.float32]]

# Rows of a tensor: with 64 of them the error differs from that of all rows by 2 to 5 %, far less than types do.
_SAMPLED_ROWS = 64
# The scales that are folded in depend a little on the types that are yet to be chosen: these are in the middle.
_FOLDED_FOR = "Q3_K"


def error_table(request: dict[str, Any], events: Events) -> None:
    """For each tensor an event with its relative error, Σ E[x²](ŵ - w)² / Σ E[x²]w², in each type asked for."""
    source = Source(Path(request["source"]))
    ggml = Ggml(library(), request["n_threads"])
    importance: Importance | None = read_imatrix(Path(request["imatrix"])) if request["imatrix"] else None
    wanted = msgspec.convert(request["types"], dict[str, list[str]])
    factors = Factors()
    if request["folded"]:
        assert importance is not None
        importances.check(importance, source)
        factors = _factors(source, importance, ggml)
        importance = folding.rescaled(importance, factors)
    for done, (name, kinds) in enumerate(wanted.items(), 1):
        tensor = source.tensors[name]
        found = {kind: importances.of_encoder(importance, tensor, kind) for kind in kinds}
        rows, matrices = _sampled(tensor, factors)
        errors = ggml.threads.map(lambda kind: _error(ggml, kind, rows, matrices, found[kind], tensor), kinds)  # noqa: B023
        events.send("errors", tensor=name, errors=dict(zip(kinds, errors, strict=True)), done=done, total=len(wanted))


def _factors(source: Source, importance: Importance, ggml: Ggml) -> Factors:
    family = families.of(source)
    kinds = {name: _FOLDED_FOR if t.row_length % 256 == 0 else "Q4_0" for name, t in source.tensors.items()}
    search = folding.Search(source, importance, kinds, ggml, True)
    factors = Factors()
    for layer in range(family.n_layers):
        for link in family.links(layer):
            factors.add(link, search.choose(link).scales)
    return factors


def _sampled(tensor: Tensor, factors: Factors) -> tuple[Floats, Any]:
    """(rows spread evenly over the tensor, the matrix that each is of)."""
    picked = np.linspace(0, tensor.n_rows - 1, min(tensor.n_rows, _SAMPLED_ROWS)).round().astype(int)
    rows = np.concatenate([factors.scaled(tensor, i, i + 1) for i in picked])
    return rows, picked // (tensor.n_rows // tensor.n_matrices)


def _error(ggml: Ggml, kind: str, rows: Floats, matrices: Any, importance: Floats | None, tensor: Tensor) -> float:
    shape = tensor.n_matrices, tensor.row_length
    weights = np.ones(shape, np.float32) if importance is None else importance.reshape(shape)
    lost = total = 0.0
    for matrix in np.unique(matrices):
        values, moments = rows[matrices == matrix], weights[int(matrix)]
        blocks = ggml.encode_here(kind, values, moments if importance is not None else None)
        difference = ggml.decode(kind, blocks, tensor.row_length) - values
        lost += float(np.square(difference, dtype=np.float64).sum(axis=0) @ moments)
        total += float(np.square(values, dtype=np.float64).sum(axis=0) @ moments)
    return lost / total if total else 0.0
