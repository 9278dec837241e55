"""Standard errors over chunks of text: tokens of one chunk depend on each other, chunks hardly do."""

from __future__ import annotations

import math

import numpy as np

from edgeq.records import Estimate
from edgeq.stats.estimates import F64
from edgeq.stats.paired import block_means


def chunk_error(values: F64, size: int) -> float | None:
    """Standard error of the mean from the means of chunks of ``size`` values; None for fewer than two chunks."""
    means = block_means(values, size)
    return float(means.std(ddof=1)) / math.sqrt(len(means)) if len(means) > 1 else None


def chunk_quantile(values: F64, q: float, size: int) -> Estimate:
    """Sample quantile; its error is half the distance between the quantiles one standard error below and above ``q``.

    The error of the share of values up to the quantile is taken over chunks (Woodruff 1952, for clusters). None where
    a rank falls outside the sample: then too few values lie beyond the quantile to tell.
    """
    value = float(np.quantile(values, q))
    error = chunk_error((values <= value).astype(np.float64), size)
    # Chunks can't tell less by chance than single values do.
    error = None if error is None else max(error, math.sqrt(q * (1 - q) / len(values)))
    if error is None or q - error < 0 or q + error > 1:
        return Estimate(value)
    low, high = np.quantile(values, [q - error, q + error])
    return Estimate(value, float(high - low) / 2)
