"""What a sensor is really like, from its readings alone: how often it updates, in which steps, how steadily."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from edgeq.stats.estimates import F64

# A step is believed where real numbers would look as even by accident less often than this, for any one divisor.
_CHANCE = 1e-4
_UNEVEN = 0.05
_MAX_DIVISOR = 10_000
_MAX_DIFFERENCES = 64
_ROUNDING = 16 * float(np.finfo(np.float64).eps)


class Character(NamedTuple):
    """What ``n`` readings show. Steps and noise are in the readings' unit, a counter's noise in units per second.

    ``update_period_s``: None where the reading did not change twice, and never shorter than the time between two
    readings. ``lsb``: None where the readings have no common step, or there are too few to tell. ``noise``: standard
    deviation while nothing but the sensor changed; for a counter, of the power from one update to the next.
    """

    update_period_s: float | None
    lsb: float | None
    noise: float | None
    n: int


def character(
    t_ns: npt.NDArray[np.int64], values: F64, kind: Literal["counter", "gauge", "average"] = "gauge"
) -> Character:
    """Judge a steady stretch of one channel, read several times per update; readings of NaN are left out."""
    known = np.isfinite(values)
    t_s, values = t_ns[known] / 1e9, values[known]
    updates = np.flatnonzero(np.diff(values)) + 1
    distances_s, rounding = np.diff(t_s[updates]), _ROUNDING * np.abs(values).max(initial=0)
    period_s = _period_s(distances_s)
    if kind == "counter":
        grown = np.diff(values[updates])
        noise, lsb = _noise_of_power(grown, distances_s, period_s), _step(grown[grown > 0], rounding)
    else:
        noise, lsb = _spread(values), _step(values[updates], rounding)
    return Character(period_s, lsb, noise, len(values))


def _period_s(distances_s: F64) -> float | None:
    """Median distance of those updates that follow each other; between others, some did not change the value."""
    if not len(distances_s):
        return None
    return float(np.median(distances_s[distances_s < 1.5 * np.quantile(distances_s, 0.1)]))


def _spread(values: F64) -> float | None:
    # Less the first one, so that equal values have a spread of exactly 0.
    return float((values - values[0]).std(ddof=1)) if len(values) > 1 else None


def _noise_of_power(grown: F64, distances_s: F64, period_s: float | None) -> float | None:
    """A counter that has gone back was reset or has wrapped.

    An update is seen at the first reading after it, and that delay is not the sensor's noise: where the sensor keeps
    to its own period, whole periods are the better measure of time.
    """
    forward = grown > 0
    if period_s is None or forward.sum() < 2:
        return None
    periods = np.maximum(np.rint(distances_s / period_s), 1) * period_s
    return min(float((grown / time_s)[forward].std(ddof=1)) for time_s in (distances_s, periods))


def _step(values: F64, rounding: float) -> float | None:
    """The largest step of which all differences between distinct values are multiples.

    Where values come back after a change, there is a step. Otherwise the differences have to be so even that it is no
    accident: n real numbers are all within a share u of multiples of a step with the probability (2 u)^n.
    """
    between = np.diff(np.sort(values))
    differences = np.sort(between[between > rounding])[:_MAX_DIFFERENCES]
    if not len(differences):
        return None
    come_back = len(between) - (between > rounding).sum() >= 2
    divisors = np.arange(1, _MAX_DIVISOR + 1)
    multiples = np.outer(divisors, differences / differences[0])
    uneven = np.abs(multiples - np.rint(multiples)).max(axis=1)
    chance = divisors * (2 * np.maximum(uneven, 1e-6)) ** (len(differences) - 1)
    believed = (uneven < _UNEVEN) & (come_back | (chance < _CHANCE))
    if not believed.any():
        return None
    return float(differences.sum() / np.rint(multiples[np.argmax(believed)]).sum())
