"""A trace's samples as arrays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgeq.records import Trace
from edgeq.stats.estimates import F64


def samples(trace: Trace) -> tuple[npt.NDArray[np.int64], F64]:
    """(times in ns, values); a value is NaN where the sensor had no truth."""
    return np.frombuffer(trace.t_ns_i64, "<i8"), np.frombuffer(trace.value_f64, "<f8")


def known(trace: Trace) -> tuple[npt.NDArray[np.int64], F64]:
    """The same without the moments at which the sensor had no truth."""
    t_ns, values = samples(trace)
    true = ~np.isnan(values)
    return t_ns[true], values[true]
