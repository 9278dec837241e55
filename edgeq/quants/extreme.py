"""Formats of less than 3 bits per weight."""

from __future__ import annotations

from edgeq.gguf_info import TYPE_NAMED, promised_type
from edgeq.quants import _arms
from edgeq.quants.stock import apply as apply
from edgeq.quants.stock import types as types
from edgeq.records import Arm, Recipe

TITLE = "extreme 2-bit"
NUMBER = 12
DEFINITION = "Weights take less than 3 bits each, scales included."
OPTIONS: dict[str, object] = {}
_MAX_BITS = 3
_RECIPES = (
    *(
        _arms.recipe(f"{kind}-imatrix", kind, "extreme", imatrix=True)
        for kind in ("Q2_K", "IQ2_M", "IQ2_XS", "IQ2_XXS", "IQ1_M", "IQ1_S")
    ),
    # For models that were trained to have three values; on others it shows what breaks.
    _arms.recipe("TQ2_0", "TQ2_0", "extreme"),
)
ARMS = tuple(Arm("extreme", recipe.name, recipe) for recipe in _RECIPES)


def check(recipe: Recipe) -> str:
    """Why the recipe's type is not below 3 bits, or nothing."""
    kind = TYPE_NAMED.get(promised_type(recipe.file_type) or "")
    if kind is None or kind.block_bytes * 8 >= _MAX_BITS * kind.block:
        return f"{recipe.file_type} has {_MAX_BITS} bits per weight or more."
    return ""
