"""Symmetric formats: a code stands for a multiple of the scale, and code 0 for zero."""

from __future__ import annotations

from edgeq.quants import _arms
from edgeq.quants.stock import apply as apply
from edgeq.quants.stock import types as types
from edgeq.records import Arm, Recipe

TITLE = "symmetric"
NUMBER = 4
DEFINITION = "A weight is a code times a scale: zero is exactly representable, and no minimum is stored."
OPTIONS: dict[str, object] = {}
# Fallbacks of Q3_K and Q6_K for short rows, Q4_0 and Q8_0, are symmetric as well.
TYPES = ("Q3_K", "Q4_0", "Q5_0", "Q6_K", "Q8_0")
RECIPES = {
    name: _arms.recipe(name, file_type, "symmetric")
    for name, file_type in (("Q8_0", "Q8_0"), ("Q6_K", "Q6_K"), ("Q5_0", "Q5_0"), ("Q4_0", "Q4_0"), ("Q3_K", "Q3_K_M"))
}
ARMS = tuple(Arm("symmetric", name, recipe) for name, recipe in RECIPES.items())


def check(recipe: Recipe) -> str:
    """Why the recipe's blocks are not symmetric, or nothing."""
    return _arms.why_not_among(recipe, TYPES, "symmetric")
