"""llama.cpp's own quantizers and mixes, with or without importance matrix and per-tensor overrides."""

from __future__ import annotations

from edgeq.records import Arm, Recipe
from edgeq.tensors.work import Made, Work

TITLE = "stock"
NUMBER = 0
DEFINITION = "What llama.cpp itself makes of a model: the tensor types and the rounding of its quantize function."
OPTIONS: dict[str, object] = {}
ARMS: tuple[Arm, ...] = ()


def check(recipe: Recipe) -> str:
    """Nothing: every file type is llama.cpp's own."""
    return ""


def types(recipe: Recipe, stock: dict[str, str]) -> dict[str, str]:
    """Types of the tensors: llama.cpp's own."""
    return stock


def apply(work: Work) -> Made:
    """Make the file."""
    work.stock_file()
    return Made()
