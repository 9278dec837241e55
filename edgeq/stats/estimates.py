"""Estimates of means, shares, quantiles and rates, with their standard errors."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from edgeq.records import Estimate

F64 = npt.NDArray[np.float64]


def mean(values: F64) -> Estimate:
    """Mean and its standard error s/sqrt(n), from the sample standard deviation; no error for n < 2."""
    n = len(values)
    return Estimate(float(values.mean()), float(values.std(ddof=1)) / math.sqrt(n) if n > 1 else None)


def perplexity(nll: F64) -> Estimate:
    """exp(mean nll), its error by the delta method: PPL * se(mean nll), as llama-perplexity prints it."""
    m = mean(nll)
    ppl = math.exp(m.value)
    return Estimate(ppl, None if m.se is None else ppl * m.se)


def perplexity_ratio(nll: F64, reference_nll: F64) -> Estimate:
    """PPL(model) / PPL(reference) over the same tokens, with the paired error of the mean log ratio."""
    m = mean(nll - reference_nll)
    ratio = math.exp(m.value)
    return Estimate(ratio, None if m.se is None else ratio * m.se)


def root_mean_square(values: F64) -> Estimate:
    """sqrt(mean x²), error by the delta method: se(mean x²) / (2 rms)."""
    m = mean(values**2)
    rms = math.sqrt(m.value)
    return Estimate(rms, m.se / (2 * rms) if m.se is not None and rms > 0 else None)


def share(flags: F64) -> Estimate:
    """Share of ones, with sqrt(p (1 - p) / (n - 1))."""
    n, p = len(flags), float(flags.mean())
    return Estimate(p, math.sqrt(p * (1 - p) / (n - 1)) if n > 1 else None)


def quantile(values: F64, q: float) -> Estimate:
    """Sample quantile (linear interpolation) with its distribution-free standard error.

    The error is half the distance between the order statistics one binomial standard deviation below and above
    the quantile's rank (Woodruff's interval at one sigma); none where those ranks fall outside the sample, because
    then too few values lie beyond the quantile to tell.
    """
    n = len(values)
    spread = math.sqrt(n * q * (1 - q))
    low, high = q * (n - 1) - spread, q * (n - 1) + spread
    value = float(np.quantile(values, q))
    if n < 2 or low < 0 or high > n - 1:
        return Estimate(value, None)
    at_low, at_high = np.quantile(values, [low / (n - 1), high / (n - 1)])
    return Estimate(value, float(at_high - at_low) / 2)


def rate(n_tokens: int, times_s: F64) -> Estimate:
    """Tokens per second over repetitions of ``n_tokens`` each: total tokens over total time.

    Times are averaged, not rates; the error of the mean time carries over relatively.
    """
    m = mean(times_s)
    tps = n_tokens / m.value
    return Estimate(tps, None if m.se is None else tps * m.se / m.value)
