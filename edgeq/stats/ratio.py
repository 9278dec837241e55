"""The ratio of two configurations' rates from interleaved turns, in which a steady drift cancels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from edgeq.records import Estimate
from edgeq.stats.estimates import F64


class Ratio(NamedTuple):
    """Rate of B over rate of A, its 95 % interval, and the number of whole blocks that it comes from."""

    ratio: Estimate
    ci95: tuple[float, float] | None
    n_blocks: int


def interleaved_ratio(a_times_s: Sequence[F64], b_times_s: Sequence[F64]) -> Ratio | None:
    """Rate of B over rate of A from turns run in the order A B B A, A B B A, ...

    Each array holds the times of one turn's repetitions, of as many tokens in A as in B; a turn's rate is total over
    total. A block A B B A gives one difference: half of (B + B - A - A) in log rates. Whatever changes evenly in the
    course of a block touches A, in its first and fourth place, as much as B in its second and third. The interval is
    Student's t over the blocks, which alone are independent, and needs two of them. A block that is not complete is
    left out; None where there is none.
    """
    n_blocks = min(len(a_times_s), len(b_times_s)) // 2
    if not n_blocks:
        return None
    a, b = (
        np.array([-math.log(t.mean()) for t in turns[: 2 * n_blocks]]).reshape(n_blocks, 2)
        for turns in (a_times_s, b_times_s)
    )
    differences = b.mean(1) - a.mean(1)
    ratio = math.exp(differences.mean())
    if n_blocks < 2:
        return Ratio(Estimate(ratio), None, n_blocks)
    se = float(differences.std(ddof=1)) / math.sqrt(n_blocks)
    half = stats.t.isf(0.025, n_blocks - 1) * se
    return Ratio(Estimate(ratio, ratio * se), (ratio * math.exp(-half), ratio * math.exp(half)), n_blocks)
