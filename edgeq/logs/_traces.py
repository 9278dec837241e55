"""Traces out of columns of numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgeq.records import Channel, Trace


def trace(channel: Channel, t_ns: Sequence[int], values: Sequence[float]) -> Trace:
    """What one channel gave at these times."""
    return Trace(channel, np.asarray(t_ns, "<i8").tobytes(), np.asarray(values, "<f8").tobytes())


def update_period_s(t_ns: Sequence[int]) -> float | None:
    """The usual time between two values, None for fewer than two."""
    return float(np.median(np.diff(np.asarray(t_ns, np.int64)))) / 1e9 if len(t_ns) > 1 else None
