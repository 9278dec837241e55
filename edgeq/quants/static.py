"""Static quantization: nothing is computed at run time that could have been computed before."""

from __future__ import annotations

from edgeq.quants import _arms, symmetric, weight_only
from edgeq.quants.stock import apply as apply
from edgeq.quants.stock import types as types
from edgeq.records import Arm, Recipe

TITLE = "PTQ static"
NUMBER = 1
DEFINITION = "All scales are fixed before inference, those of activations from what they are on calibration text."
OPTIONS: dict[str, object] = {}
# No kernel of llama.cpp takes activation scales that were fixed beforehand, so these are simulated.
ARMS = (
    Arm("static", "Q8_0", symmetric.RECIPES["Q8_0"]),
    _arms.simulated("static", "W8A8-static", weight_only.RECIPES["Q8_0-f32"], "static-tensor"),
    _arms.simulated("static", "A8-static", None, "static-tensor"),
)


def check(recipe: Recipe) -> str:
    """Why the recipe's weights are not quantized without data, or nothing."""
    if recipe.imatrix:
        return "The scales of weights come from the weights alone: set imatrix to false."
    return _arms.why_not_quantized(recipe)
