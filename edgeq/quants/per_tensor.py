"""One scale for a weight matrix."""

from __future__ import annotations

from edgeq.quants import _coarse
from edgeq.quants._coarse import check as check
from edgeq.quants.stock import types as types
from edgeq.tensors.work import Made, Work

TITLE = "per-tensor"
NUMBER = 6
DEFINITION = "All weights of a matrix share one scale."
OPTIONS: dict[str, object] = {}
ARMS = tuple(_coarse.arm("per_tensor", f"{kind}-tensor", kind) for kind in ("Q8_0", "Q4_1", "Q4_0"))


def apply(work: Work) -> Made:
    """Make the file; of experts in one tensor, each has a scale."""
    return _coarse.apply(work, lambda tensor: None)
