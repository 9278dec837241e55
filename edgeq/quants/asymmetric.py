"""Asymmetric formats: a code stands for a multiple of the scale above or below a minimum of its own."""

from __future__ import annotations

from edgeq.quants import _arms
from edgeq.quants.stock import apply as apply
from edgeq.quants.stock import types as types
from edgeq.records import Arm, Recipe

TITLE = "asymmetric"
NUMBER = 5
DEFINITION = "A weight is a code times a scale plus a minimum, so that the codes span just the values that occur."
OPTIONS: dict[str, object] = {}
TYPES = ("Q2_K", "Q4_1", "Q4_K", "Q5_1", "Q5_K")
RECIPES = {
    name: _arms.recipe(name, file_type, "asymmetric")
    for name, file_type in (
        ("Q5_1", "Q5_1"),
        ("Q5_K", "Q5_K_M"),
        ("Q4_1", "Q4_1"),
        ("Q4_K", "Q4_K_M"),
        ("Q2_K", "Q2_K"),
    )
}
ARMS = tuple(Arm("asymmetric", name, recipe) for name, recipe in RECIPES.items())


def check(recipe: Recipe) -> str:
    """Why the recipe's blocks are not asymmetric, or nothing."""
    return _arms.why_not_among(recipe, TYPES, "asymmetric")
