"""Over which prices of a kWh the cheapest file stays the cheapest, from the linear cost model and not by trying prices.

A file with the cost a*k + h is beaten by another at the price k where the difference of their costs d(k) is more than
z * sqrt(k**2 * S + H), with S and H the summed squared errors of both slopes and both fixed parts. d is linear and the
root is convex in k, so these prices are one interval, whose ends are roots of a quadratic.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from edgeq.analyze.advice.candidates import Candidate
from edgeq.analyze.advice.metrics import COST
from edgeq.analyze.advice.money import Line
from edgeq.analyze.advice.policy import Decision, choose
from edgeq.analyze.fronts import Z
from edgeq.records.advice import TariffRange
from edgeq.stats import F64

# How far beyond an end the file that follows is looked for, as shares of the price: the first that shows another one.
_STEPS = (1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3)


class _Lines(NamedTuple):
    """The lines of all files as arrays."""

    slope: F64
    slope_se: F64
    fixed: F64
    fixed_se: F64


def cheapest(allowed: Sequence[Candidate], per_kwh: float) -> Decision | None:
    """What `choose` picks by cost at a price of the kWh."""
    return choose([(c, c.line.at(per_kwh)) for c in allowed if c.line], COST)


def stays(allowed: Sequence[Candidate], per_kwh: float) -> TariffRange | None:
    """The range of prices around this one over which the cheapest of the allowed files stays, and what follows.

    The ends are exact but for rounding. None where no file's cost is known.
    """
    decision = cheapest(allowed, per_kwh)
    if decision is None:
        return None
    winner = decision.winner
    pool = _pool(allowed, winner)
    arrays = _Lines(*(np.array(column) for column in zip(*(line for _, line in pool), strict=True)))
    low, high = 0.0, np.inf
    for i, (candidate, _) in enumerate(pool):
        if candidate is winner or candidate.order < winner.order:
            begin, end = _unchanged(*_beaten(i, arrays), per_kwh, beaten=candidate is not winner)
            low, high = max(low, begin), min(high, end)
    below = _after(allowed, winner, low, -1) if low > 0 else None
    above = _after(allowed, winner, high, 1) if np.isfinite(high) else None
    return TariffRange(winner.choice.label, low, float(high) if np.isfinite(high) else None, below, above)


def _pool(allowed: Sequence[Candidate], winner: Candidate) -> list[tuple[Candidate, Line]]:
    """The files among which `choose` chose, with the errors that it went by: none where the winner has none."""
    known = [(c, c.line) for c in allowed if c.line]
    if winner.line and _steady(winner.line):
        return [(c, line) for c, line in known if _steady(line)]
    return [(c, line._replace(slope_se=0.0, fixed_se=0.0)) for c, line in known]


def _steady(line: Line) -> bool:
    return not math.isnan(line.slope_se + line.fixed_se)


def _beaten(i: int, lines: _Lines) -> tuple[F64, F64]:
    """Where each of the files beats file ``i``: begins and ends of intervals of prices, NaN where it never does."""
    da, dh = lines.slope[i] - lines.slope, lines.fixed[i] - lines.fixed
    s, h = (e[i] ** 2 + e**2 for e in (lines.slope_se, lines.fixed_se))
    with np.errstate(divide="ignore", invalid="ignore"):
        a, b, c = da**2 - Z**2 * s, da * dh, dh**2 - Z**2 * h
        # b**2 - a*c multiplied out: nothing cancels where there are no errors.
        root = np.sqrt(Z**2 * (da**2 * h + s * dh**2 - Z**2 * s * h))
        roots = np.where(a == 0, np.stack([-c / (2 * b)] * 2), np.stack([(-b - root) / a, (-b + root) / a]))
    inside = np.where(np.isfinite(roots) & (roots > 0), roots, 0.0)
    edges = np.sort(np.vstack([np.zeros_like(da), inside]), axis=0)
    edges = np.vstack([edges, np.full_like(da, np.inf)])
    begins, ends = edges[:-1], edges[1:]
    middles = np.where(np.isinf(ends), 2 * begins + 1, (begins + ends) / 2)
    beats = (da * middles + dh > Z * np.sqrt(s * middles**2 + h)) & (ends > begins)
    begin = np.min(np.where(beats, begins, np.inf), axis=0)
    end = np.max(np.where(beats, ends, -np.inf), axis=0)
    never = begin >= end
    return np.where(never, np.nan, begin), np.where(never, np.nan, end)


def _unchanged(begins: F64, ends: F64, price: float, *, beaten: bool) -> tuple[float, float]:
    """The prices around this one over which a file stays beaten, or stays unbeaten."""
    known = ~np.isnan(begins)
    intervals = sorted(zip(begins[known].tolist(), ends[known].tolist(), strict=True))
    joined: list[tuple[float, float]] = []
    for begin, end in intervals:
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((begin, end))
    if beaten:
        return next(((b, e) for b, e in joined if b <= price <= e), (price, price))
    low = max((e for _, e in joined if e <= price), default=0.0)
    return low, min((b for b, _ in joined if b >= price), default=np.inf)


def _after(allowed: Sequence[Candidate], winner: Candidate, price: float, side: int) -> str | None:
    for step in _STEPS:
        decision = cheapest(allowed, price * (1 + side * step))
        if decision and decision.winner is not winner:
            return decision.winner.choice.label
    return None
