"""A quantized file and, beside it, a LoRA adapter that adds back the largest part of what was lost.

Memory: besides one weight matrix and its error in float32, the Gram matrix of its smaller side in double precision
with as much again to find eigenvectors, and all factors, rank·(inputs + outputs) float32 values of each matrix.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeq.gguf_info import TYPE_NAMED
from edgeq.quants import _arms
from edgeq.quants.stock import types as types
from edgeq.records import Arm, Recipe
from edgeq.tensors import importance as importances
from edgeq.tensors import low_rank, output
from edgeq.tensors.refused import Refused
from edgeq.tensors.source import Source, Tensor
from edgeq.tensors.work import Made, Work

TITLE = "4-bit + low-rank"
NUMBER = 11
DEFINITION = (
    "The error of a quantized matrix is approximated by a product of two thin matrices that is added at run time."
)
# scaled: by sqrt(E[x²]) of the inputs. weigh: whether the encoder of the base gets the importance matrix as well.
OPTIONS: dict[str, object] = {"rank": 16, "scaled": True, "adapter_type": "f16", "weigh": True}

_ADAPTER_TYPES = ("f32", "f16", "q8_0")


def _arm(name: str, rank: int, *, scaled: bool) -> Arm:
    recipe = _arms.recipe(name, "Q4_0", "low_rank", imatrix=scaled, rank=rank, scaled=scaled, weigh=False)
    return Arm("low_rank", name, recipe)


ARMS = (
    _arm("Q4_0-r16-plain", 16, scaled=False),
    _arm("Q4_0-r16", 16, scaled=True),
    _arm("Q4_0-r32", 32, scaled=True),
)


def check(recipe: Recipe) -> str:
    """Why no low-rank correction can be made by this recipe, or nothing."""
    options = OPTIONS | recipe.options
    rank, scaled, kind = options["rank"], options["scaled"], options["adapter_type"]
    if not isinstance(rank, int) or isinstance(rank, bool) or rank < 1:
        return f"The rank of a correction is a whole number from 1 on, not {rank}."
    if not isinstance(scaled, bool) or not isinstance(options["weigh"], bool):
        return "The options scaled and weigh are true or false."
    if kind not in _ADAPTER_TYPES:
        return f"An adapter is stored as {', '.join(_ADAPTER_TYPES)}, not as {kind}."
    if kind == "q8_0" and rank % TYPE_NAMED["Q8_0"].block:
        return f"A rank of {rank} does not fill the blocks of 32 of an adapter in q8_0."
    if scaled and not recipe.imatrix:
        return "A correction scaled by its inputs needs an importance matrix; with scaled: false it needs none."
    return _arms.why_not_quantized(recipe)


def apply(work: Work) -> Made:
    """Make the base file and ``NAME.lora.gguf`` beside it. Raises Refused for a rank or a matrix that does not fit."""
    rank, kind = work.options["rank"], str(work.options["adapter_type"]).upper()
    if work.importance is not None:
        importances.check(work.importance, work.source)
    elif work.options["scaled"]:
        raise Refused("a correction scaled by its inputs needs an importance matrix")
    work.stock(work.source.path, work.out, work.recipe, work.importance if work.options["weigh"] else None)
    importance = work.importance if work.options["scaled"] else None
    base = Source(work.out)
    # Experts are left out: they are several matrices in one tensor.
    names = [name for name in work.quantized(base) if len(base.tensors[name].shape) == 2]
    if not names:
        raise Refused("no weight matrix of the model has been quantized, so nothing is lost")
    for name in names:
        _check_shape(base.tensors[name], rank, kind)
    adapter: dict[str, np.ndarray[Any, np.dtype[np.float32]]] = {}
    for done, name in enumerate(names, 1):
        stored = base.tensors[name]
        error = work.source.tensors[name].rows()
        for start, stop in stored.steps():
            error[start:stop] -= work.ggml.decode(stored.type, stored.raw[start:stop], stored.row_length)
        moments = importances.of(importance, stored) if importance is not None else None
        adapter[f"{name}.lora_a"], adapter[f"{name}.lora_b"] = low_rank.factors(error, rank, moments)
        work.on_progress(done, len(names))
    path = work.scratch / f"{work.recipe.name}.lora.gguf"
    output.write_adapter(path, work.source.arch, adapter, rank, kind, work.recipe.name)
    return Made(adapter=path, rank=rank, adapter_type=kind)


def _check_shape(tensor: Tensor, rank: int, kind: str) -> None:
    if rank > min(tensor.shape):
        raise Refused(f"a correction of {tensor.name} has a rank of {min(tensor.shape)} at most, not {rank}")
    if tensor.row_length % TYPE_NAMED[kind].block:
        raise Refused(f"the {tensor.row_length} inputs of {tensor.name} are no whole blocks of {kind}")
