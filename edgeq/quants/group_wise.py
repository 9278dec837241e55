"""One scale for each group of weights in a row."""

from __future__ import annotations

from edgeq.quants import _arms, _coarse, asymmetric, symmetric
from edgeq.quants.stock import types as types
from edgeq.records import Arm, Recipe
from edgeq.tensors.containers import BLOCK
from edgeq.tensors.work import Made, Work

TITLE = "group-wise"
NUMBER = 8
DEFINITION = "A fixed number of neighboring weights of a row share one scale."
# Weights in a group; 0: as many as the type itself has, 16, 32, 64 or 256, and llama.cpp's own file.
OPTIONS: dict[str, object] = {"group": 0}
ARMS = (
    *(_coarse.arm("group_wise", f"Q4_0-g{group}", "Q4_0", group=group) for group in (256, 128, 64)),
    Arm("group_wise", "Q4_0-g32", symmetric.RECIPES["Q4_0"]),
    _coarse.arm("group_wise", "Q4_1-g64", "Q4_1", group=64),
    Arm("group_wise", "Q4_1-g32", asymmetric.RECIPES["Q4_1"]),
)


def check(recipe: Recipe) -> str:
    """Why no groups of this size can have a scale by this recipe, or nothing."""
    group = recipe.options.get("group", 0)
    if not group:
        return _arms.why_not_quantized(recipe)
    if not isinstance(group, int) or group < 0 or group % BLOCK:
        return f"A group is a multiple of {BLOCK} weights, or 0 for the type's own, not {group}."
    return _coarse.check(recipe)


def apply(work: Work) -> Made:
    """Make the file. Raises Refused where a row can't be divided into such groups."""
    group = int(work.options["group"])
    if group:
        return _coarse.apply(work, lambda tensor: group)
    work.stock_file()
    return Made()
