"""Dynamic quantization: weights beforehand, activations as they come."""

from __future__ import annotations

from edgeq.quants import _arms, symmetric, weight_only
from edgeq.quants.stock import apply as apply
from edgeq.quants.stock import types as types
from edgeq.records import Arm, Recipe

TITLE = "PTQ dynamic"
NUMBER = 2
DEFINITION = "Weights are quantized beforehand, activations at run time, with scales computed from the values at hand."
OPTIONS: dict[str, object] = {}
# llama.cpp quantizes activations in blocks of 32 or 256, on processors for every quantized type. The controls: the
# same weights as numbers, so that activations stay as they are; and the other way round, the weights of the source.
ARMS = (
    Arm("dynamic", "Q8_0", symmetric.RECIPES["Q8_0"]),
    Arm("dynamic", "Q4_0", symmetric.RECIPES["Q4_0"]),
    _arms.dequantized("dynamic", weight_only.RECIPES["Q8_0-f32"], control=True),
    _arms.dequantized("dynamic", weight_only.RECIPES["Q4_0-f32"], control=True),
    _arms.simulated("dynamic", "W8A8-per-token", weight_only.RECIPES["Q8_0-f32"], "dynamic-token"),
    _arms.simulated("dynamic", "W8A8-per-tensor", weight_only.RECIPES["Q8_0-f32"], "dynamic-tensor"),
    _arms.simulated("dynamic", "A8-per-token", None, "dynamic-token"),
    _arms.simulated("dynamic", "A8-per-tensor", None, "dynamic-tensor"),
    _arms.simulated("dynamic", "A8-block-32", None, "dynamic-32"),
)


def check(recipe: Recipe) -> str:
    """Why activations are not quantized with the recipe's file, or nothing."""
    return _arms.why_not_quantized(recipe)
