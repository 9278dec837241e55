"""Repetitions of one test: their common rate, its interval, and whether they are repetitions of one thing at all.

An interval from a few values is right only where they scatter around one value. So the repetitions are first searched
for what makes it wrong; where something is found, the finding is the result and there is no interval. Effects of less
than 2 %, and those that move the rate or its error by less than 0.1 %, are left alone, however significant. On clean
log-normal noise of any size all detectors together raise a false alarm in at most 5 % of the tests.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy import special, stats

from edgeq.records import Estimate
from edgeq.stats.estimates import F64, rate

_EFFECT = math.log(1.02)
_SHIFT = 0.001
_FALSE_ALARM = 0.0075
# Five repetitions that only ever get slower have p = 2/5! = 0.0167; Kendall's test can't give them less.
_FALSE_DRIFT = 0.017
# With two, t is 12.7 and no detector can work.
_MIN_REPS = 3
# Slopes between all pairs are too many for thousands of repetitions, of which the means of groups tell as much.
_MAX_SLOPES = 200


class Repeated(NamedTuple):
    """Tokens per second over all repetitions, its 95 % interval, and what is wrong with the repetitions."""

    tps: Estimate
    ci95_tps: tuple[float, float] | None
    state: tuple[str, ...]


def repetitions(n_tokens: int, times_s: F64) -> Repeated:
    """Rate of repetitions of ``n_tokens`` each, in the order in which they were run: total tokens over total time.

    The interval is Student's t on the logarithm of the rate, from three repetitions on. Where ``state`` is not empty
    there is neither interval nor standard error.
    """
    tps = rate(n_tokens, times_s)
    state = _state(np.log(times_s))
    if state:
        return Repeated(Estimate(tps.value), None, state)
    if tps.se is None or len(times_s) < _MIN_REPS:
        return Repeated(tps, None, ())
    half = stats.t.isf(0.025, len(times_s) - 1) * tps.se / tps.value
    return Repeated(tps, (tps.value * math.exp(-half), tps.value * math.exp(half)), ())


def _state(x: F64) -> tuple[str, ...]:
    """What is wrong with log times.

    Outliers are searched for where there are no modes, and autocorrelation where nothing else is wrong, of which both
    would only be another name.
    """
    if len(x) < _MIN_REPS or np.ptp(x) < _EFFECT:
        return ()
    found = []
    if _first_is_off(x):
        found.append("first repetition off")
        x = x[1:]
    if _drifting(x):
        found.append("drifting")
    if _bimodal(x):
        found.append("bimodal")
    elif _outliers(x):
        found.append("outliers")
    if not found and _autocorrelated(x):
        found.append("autocorrelated")
    return tuple(found)


def _is_off(value: float, others: F64, p: float) -> bool:
    """Whether a value is no draw from the normal distribution of the others: Student's prediction interval.

    Exact for any number of values. A fixed limit of 14.8 median absolute deviations is passed by chance in 3 % of the
    tests with five repetitions; with one that gives equally few false alarms, 20 % of the outliers at 12 standard
    deviations are found instead of 59 %.
    """
    n = len(others)
    if abs(value - np.median(others)) < max(_EFFECT, _SHIFT * n):
        return False
    limit = stats.t.isf(p / 2, n - 1) * others.std(ddof=1) * math.sqrt(1 + 1 / n)
    return bool(abs(value - others.mean()) > limit)


def _first_is_off(x: F64) -> bool:
    """The first repetition against the spread of the others: cold caches, clocks that had not risen yet."""
    return _is_off(x[0], x[1:], _FALSE_ALARM)


def _outliers(x: F64) -> bool:
    """Up to a third of the values, the farthest first, so that one outlier can't hide another.

    Generalized extreme Studentized deviate test (Rosner 1983).
    """
    for _ in range(max(1, len(x) // 3)):
        if len(x) < _MIN_REPS:
            break
        farthest = int(np.argmax(np.abs(x - x.mean())))
        others = np.delete(x, farthest)
        if _is_off(x[farthest], others, _FALSE_ALARM / len(x)):
            return True
        x = others
    return False


def _drifting(x: F64) -> bool:
    """A trend by Kendall's test whose Theil-Sen slope makes more than 2 % over the whole run."""
    if len(x) > _MAX_SLOPES:
        x = np.array([group.mean() for group in np.array_split(x, _MAX_SLOPES)])
    order = np.arange(len(x))
    if abs(stats.theilslopes(x, order).slope) * (len(x) - 1) < _EFFECT:
        return False
    return bool(stats.kendalltau(order, x).pvalue < _FALSE_DRIFT)


def _bimodal(x: F64) -> bool:
    """Two modes of at least two values each, with a gap between them: a split that is significant among all splits.

    A t-test whose level is shared out over the sizes of the smaller mode and over every way to choose that many values:
    what BIC charges for the labels of a mixture, but right for five values as well as for fifty. Its p-values are far
    too small for a float, hence the logarithm of a close upper bound, from the integral of the beta distribution.
    """
    n = len(x)
    if n < 4 or np.ptp(x) < _EFFECT:
        return False
    x = np.sort(x - x.mean())
    k = np.arange(2, n - 1)
    low, low2 = np.cumsum(x)[k - 1], np.cumsum(x**2)[k - 1]
    high, high2 = x.sum() - low, (x**2).sum() - low2
    distance = high / (n - k) - low / k
    within = np.maximum(low2 - low**2 / k + high2 - high**2 / (n - k), 0) * (1 / k + 1 / (n - k))
    df = (n - 2) / 2
    with np.errstate(divide="ignore"):
        unexplained = within / (within + distance**2)
        log_p = df * np.log(unexplained) - math.log(df) - special.betaln(df, 0.5) - np.log1p(-unexplained) / 2
    log_ways = special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1) + math.log(n // 2 - 1)
    significant = log_p + log_ways < math.log(_FALSE_ALARM)
    matters = (x[k] - x[k - 1] > _EFFECT) & (np.minimum(k, n - k) / n * distance > _SHIFT)
    return bool(np.any(significant & matters))


def _autocorrelated(x: F64) -> bool:
    """Neighbors resemble each other, so that n repetitions tell as much as n (1 - r) / (1 + r).

    The lag-1 correlation r under a normal limit; mean and variance without correlation by Dufour and Roy (1985).
    """
    n = len(x)
    centered = x - x.mean()
    r = float(centered[1:] @ centered[:-1] / (centered @ centered))
    se = float(x.std(ddof=1)) / math.sqrt(n)
    significant = (r + 1 / n) * n * math.sqrt(n - 1) / (n - 2) > stats.norm.isf(_FALSE_ALARM)
    return bool(significant and se * (math.sqrt((1 + r) / (1 - r)) - 1) > _SHIFT)
