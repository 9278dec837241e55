"""One scale for each output channel, which is a row of a weight matrix."""

from __future__ import annotations

from edgeq.quants import _coarse
from edgeq.quants._coarse import check as check
from edgeq.quants.stock import types as types
from edgeq.tensors.work import Made, Work

TITLE = "per-channel"
NUMBER = 7
DEFINITION = "The weights of each output channel, a row of the matrix, share one scale."
OPTIONS: dict[str, object] = {}
ARMS = tuple(_coarse.arm("per_channel", f"{kind}-row", kind) for kind in ("Q8_0", "Q4_1", "Q4_0"))


def apply(work: Work) -> Made:
    """Make the file."""
    return _coarse.apply(work, lambda tensor: tensor.row_length)
