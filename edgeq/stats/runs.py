"""The ratio of two configurations from separate runs, of which each has its own luck.

Where a process finds its memory, which cores it gets and how warm the device is differ from one start to the next, and
all repetitions of one process share it. Their scatter says nothing of it: an interval from repetitions alone finds
differences between two runs of the same thing (Georges, Buytaert and Eeckhout 2007; Mytkowicz et al. 2009; Kalibera and
Jones 2013). So a run counts as one value, and what runs of one configuration differ by is estimated from those that
were repeated, or assumed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from edgeq.records import Estimate
from edgeq.stats.estimates import F64

# Standard deviation between runs of one thing where nothing was run twice: an assumption for a machine that does
# nothing else. It is also the most with which one run each can find a slowdown of 5 % in 95 % of the cases, whatever
# the test: sqrt(2) * 1 % * (1.960 + 1.645) = 5.1 %.
RUN_TO_RUN = 0.01
# As how many degrees of freedom the assumption counts against what was measured (Smyth 2004, moderated t).
_PRIOR = 4
_LARGEST_CORRELATION = 0.9


class Run(NamedTuple):
    """The natural logarithm of one run's figure, and the variance that its repetitions or its meter give it.

    ``scatter``: relative standard deviation of single repetitions.
    """

    log: float
    variance: float
    scatter: float = 0.0


class RunsRatio(NamedTuple):
    """B over A with its 95 % interval. ``spread``: relative standard deviation of a run; assumed where ``df`` is 0."""

    ratio: Estimate
    ci95: tuple[float, float]
    spread: float
    df: int


def run_of_rate(times_s: F64) -> Run:
    """The rate of repetitions that took these seconds, but for the number of tokens: minus the log of the mean time.

    Neighbors resemble each other: with a lag-1 correlation of r, n repetitions tell as much as n (1 - r) / (1 + r). The
    sample's r, which is 1/n too low on average, is clipped to 0 ... 0.9.
    """
    n = len(times_s)
    log = -math.log(float(times_s.mean()))
    x = np.log(times_s)
    centered = x - x.mean()
    squares = float(centered @ centered)
    if n < 3 or squares == 0:
        return Run(log, 0.0)
    r = min(max(float(centered[1:] @ centered[:-1]) / squares + 1 / n, 0.0), _LARGEST_CORRELATION)
    return Run(log, squares / (n - 1) / n * (1 + r) / (1 - r), math.sqrt(squares / (n - 1)))


def runs_ratio(a: Sequence[Run], b: Sequence[Run], others: Sequence[Sequence[Run]] = ()) -> RunsRatio:
    """Figure of B over that of A, from at least one run each.

    ``others``: runs of further configurations on the same machine, which tell the spread as well. Where no
    configuration was run twice, a spread of 1 % between runs is taken for granted, or that of single repetitions where
    it is larger, since what disturbs a machine does not end with a repetition; what the repetitions show is added.
    Where there are such, their pooled variance is averaged with the assumed one, weighted by degrees of freedom, and
    the interval is Student's t.
    """
    groups = [np.array([run.log for run in group]) for group in (a, b, *others)]
    df = sum(len(g) - 1 for g in groups)
    squares = sum(float(((g - g.mean()) ** 2).sum()) for g in groups)
    variance = float(np.mean([max(RUN_TO_RUN, run.scatter) ** 2 + run.variance for run in (*a, *b)]))
    limit = float(stats.norm.isf(0.025))
    if df:
        variance = (_PRIOR * variance + squares) / (_PRIOR + df)
        limit = float(stats.t.isf(0.025, _PRIOR + df))
    difference = float(groups[1].mean() - groups[0].mean())
    se = math.sqrt(variance * (1 / len(a) + 1 / len(b)))
    ratio = math.exp(difference)
    ends = (ratio * math.exp(-limit * se), ratio * math.exp(limit * se))
    return RunsRatio(Estimate(ratio, ratio * se), ends, math.sqrt(variance), df)
