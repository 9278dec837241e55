"""One scale for each output channel, which is a row of a weight matrix."""

from __future__ import annotations

from edgeq.quants import _coarse
from edgeq.records import Recipe
from edgeq.tensors.work import Made, Work

TITLE = "per-channel"
NUMBER = 7
DEFINITION = "The weights of each output channel, a row of the matrix, share one scale."
OPTIONS: dict[str, object] = {}
ARMS = tuple(_coarse.arm("per_channel", f"{kind}-row", kind) for kind in ("Q8_0", "Q4_1", "Q4_0"))


def check(recipe: Recipe) -> str:
    """Why no row can have a scale of its own by this recipe, or nothing."""
    return _coarse.check(recipe)


def types(recipe: Recipe, stock: dict[str, str]) -> dict[str, str]:
    """Types of the tensors: llama.cpp's own."""
    return stock


def apply(work: Work) -> Made:
    """Make the file."""
    return _coarse.apply(work, lambda tensor: tensor.row_length)
