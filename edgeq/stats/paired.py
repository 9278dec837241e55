"""Two models over the same text: what differs between them, with an interval over its chunks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats

from edgeq.records import Estimate
from edgeq.stats.estimates import F64

# With fewer blocks a bootstrap draws too few different samples; Student's t is nearer to what it promises.
_BOOTSTRAP_FROM = 20
_RESAMPLES = 5000
_AT_ONCE = 500
_SEED = 20130


class Paired(NamedTuple):
    """A ratio or a mean with its standard error and 95 % interval, and the number of blocks that they come from."""

    estimate: Estimate
    ci95: tuple[float, float]
    n_blocks: int


def block_means(values: F64, size: int) -> F64:
    """Means of consecutive blocks of ``size`` values; what is left over at the end is left out."""
    n = len(values) // size
    return np.asarray(values[: n * size].reshape(n, size).mean(1), dtype=np.float64)


def paired_mean(differences: F64) -> Paired | None:
    """Mean of the blocks' differences, in their unit. None for fewer than two blocks."""
    return paired_ratio(np.ones(len(differences)), differences)


def paired_ratio(a: F64, b: F64) -> Paired | None:
    """Mean of ``b`` over mean of ``a``, both over the same blocks. None for fewer than two blocks, or a mean of 0.

    Tokens within a chunk of text depend on each other, so whole chunks are resampled, with what both models made of
    them: the studentized bootstrap (Efron and Tibshirani 1993, chapter 12.5) of the ratio estimator, whose standard
    error is that of the mean of b - ratio * a (Cochran 1977, chapter 6). With a fixed seed the same records give the
    same interval. Below 20 blocks it is Student's t.
    """
    n = len(a)
    if n < 2 or a.mean() == 0:
        return None
    moments = np.stack([a, b, a * a, a * b, b * b], axis=1)
    ratios, errors = _ratios(moments.mean(0)[None], n)
    ratio, se = float(ratios[0]), float(errors[0])
    # What is left of equal numbers by rounding is no spread.
    if se <= 1e-12 * abs(ratio):
        return Paired(Estimate(ratio, 0.0), (ratio, ratio), n)
    if n < _BOOTSTRAP_FROM:
        low = high = float(stats.t.isf(0.025, n - 1))
    else:
        t = _resampled(moments, ratio)
        low, high = float(np.quantile(t, 0.975)), -float(np.quantile(t, 0.025))
    return Paired(Estimate(ratio, se), (ratio - low * se, ratio + high * se), n)


def _ratios(means: F64, n: int) -> tuple[F64, F64]:
    """(ratios, their standard errors) from the means of a, b, a², ab and b² in each row."""
    a, b, aa, ab, bb = means.T
    ratio = b / a
    residual = np.maximum(bb - 2 * ratio * ab + ratio**2 * aa, 0)
    return ratio, np.sqrt(residual / (n - 1)) / np.abs(a)


def _resampled(moments: F64, ratio: float) -> F64:
    """Student's t of each resample against the ratio of all blocks."""
    n = len(moments)
    rng = np.random.default_rng(_SEED)
    found = []
    for _ in range(_RESAMPLES // _AT_ONCE):
        counts = rng.multinomial(n, np.full(n, 1 / n), size=_AT_ONCE)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios, errors = _ratios(counts @ moments / n, n)
            found.append((ratios - ratio) / errors)
    t = np.concatenate(found)
    # Resamples without the few blocks that differ have no spread of their own.
    return t[np.isfinite(t)]
