"""One scale for a weight matrix."""

from __future__ import annotations

from edgeq.quants import _coarse
from edgeq.records import Recipe
from edgeq.tensors.work import Made, Work

TITLE = "per-tensor"
NUMBER = 6
DEFINITION = "All weights of a matrix share one scale."
OPTIONS: dict[str, object] = {}
ARMS = tuple(_coarse.arm("per_tensor", f"{kind}-tensor", kind) for kind in ("Q8_0", "Q4_1", "Q4_0"))


def check(recipe: Recipe) -> str:
    """Why no matrix can have one scale by this recipe, or nothing."""
    return _coarse.check(recipe)


def types(recipe: Recipe, stock: dict[str, str]) -> dict[str, str]:
    """Types of the tensors: llama.cpp's own."""
    return stock


def apply(work: Work) -> Made:
    """Make the file; of experts in one tensor, each has a scale."""
    return _coarse.apply(work, lambda tensor: None)
