"""Quantized weights as the floating-point numbers that they stand for, so that nothing else is quantized."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeq.gguf_info import TYPE_NAMED
from edgeq.quants import _arms
from edgeq.records import Recipe
from edgeq.tensors import output
from edgeq.tensors.ggml import Ggml
from edgeq.tensors.refused import Refused
from edgeq.tensors.source import Tensor
from edgeq.tensors.work import Made, Work

TITLE = "weight-only"
NUMBER = 9
DEFINITION = "Only weights are quantized: they are multiplied, dequantized, by activations of 16 or 32 bits."
# Type of the dequantized weights. With f16, processors round activations to f16 as well.
OPTIONS: dict[str, object] = {"outtype": "f32"}
RECIPES = {
    f"{name}-f32": _arms.recipe(f"{name}-f32", file_type, "weight_only", outtype="f32")
    for name, file_type in (("Q8_0", "Q8_0"), ("Q4_K", "Q4_K_M"), ("Q4_0", "Q4_0"))
}
ARMS = tuple(_arms.dequantized("weight_only", recipe) for recipe in RECIPES.values())

_DTYPES: dict[str, Any] = {"F32": np.float32, "F16": np.float16}
_FILE_TYPES = {"F32": 0, "F16": 1}  # of general.file_type: enum llama_ftype in llama.h


def check(recipe: Recipe) -> str:
    """Why no weights are quantized, or stored as numbers, by this recipe; or nothing."""
    outtype = str(recipe.options.get("outtype", "f32"))
    if outtype.upper() not in _DTYPES:
        return f"Weights are stored as f32 or f16, not as {outtype}."
    return _arms.why_not_quantized(recipe)


def types(recipe: Recipe, stock: dict[str, str]) -> dict[str, str]:
    """Types of the tensors: floating-point numbers where llama.cpp's own are quantized."""
    outtype = str(recipe.options.get("outtype", "f32")).upper()
    return {name: _stored_as(kind, outtype) for name, kind in stock.items()}


def apply(work: Work) -> Made:
    """Make the file. Raises Refused for values that F16 can't hold."""
    path = work.scratch / f"{work.recipe.name}.gguf"
    quantized = work.stock_file(path)
    outtype = str(work.options["outtype"]).upper()

    def data(name: str) -> np.ndarray[Any, np.dtype[Any]]:
        tensor = quantized.tensors[name]
        return tensor.raw if _stored_as(tensor.type, outtype) == tensor.type else _decoded(tensor, work.ggml, outtype)

    planned = [(t.name, t.shape, _stored_as(t.type, outtype)) for t in quantized.tensors.values()]
    output.write(
        work.out, quantized, planned, data, {"general.file_type": _FILE_TYPES[outtype]}, on_progress=work.on_progress
    )
    path.unlink()
    matrices = [quantized.tensors[name].info for name in work.quantized(quantized)]
    return Made(ideal_bpw=sum(m.n_bytes for m in matrices) * 8 / sum(m.n_elements for m in matrices))


def _stored_as(kind: str, outtype: str) -> str:
    return outtype if TYPE_NAMED[kind].block > 1 else kind


def _decoded(tensor: Tensor, ggml: Ggml, outtype: str) -> np.ndarray[Any, np.dtype[Any]]:
    """The values that llama.cpp computes with."""
    values = np.empty((tensor.n_rows, tensor.row_length), _DTYPES[outtype])
    for start, stop in tensor.steps():
        with np.errstate(over="ignore"):
            values[start:stop] = ggml.decode(tensor.type, tensor.raw[start:stop], tensor.row_length)
        if not np.isfinite(values[start:stop]).all():
            raise Refused(f"{tensor.name} has weights that {outtype} can't hold")
    return values
