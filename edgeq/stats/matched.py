"""Two models on the same questions: what one got right and the other did not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from edgeq.records import Estimate


@dataclass(frozen=True)
class Matched:
    """``lost``: questions out of ``n`` that only the first model gets right; ``gained``: those that only the second."""

    n: int
    lost: int
    gained: int

    @property
    def difference(self) -> Estimate:
        """Share of right answers, second less first, with the standard error of paired shares."""
        d = self.gained - self.lost
        return Estimate(d / self.n, math.sqrt(self.lost + self.gained - d * d / self.n) / self.n)

    @property
    def ci95(self) -> tuple[float, float]:
        """95 % interval of the difference: the adjusted Wald interval of Bonett and Price (2012).

        One discordant question is added on either side, so that few questions without a change do not look certain.
        """
        lost, gained = ((count + 1) / (self.n + 2) for count in (self.lost, self.gained))
        middle = gained - lost
        half = float(stats.norm.isf(0.025)) * math.sqrt((lost + gained - middle**2) / (self.n + 2))
        return max(middle - half, -1.0), min(middle + half, 1.0)

    @property
    def p(self) -> float:
        """McNemar's exact test, two-sided: whether as many are lost as are gained."""
        n = self.lost + self.gained
        return float(stats.binomtest(self.lost, n).pvalue) if n else 1.0

    @property
    def flips(self) -> float:
        """Share of questions whose result is another."""
        return (self.lost + self.gained) / self.n


def matched(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> Matched:
    """Results of two models on the same questions, at least one, in the same order."""
    return Matched(len(first), int(np.sum(first & ~second)), int(np.sum(second & ~first)))


def above_chance(n_right: int, n: int, chance: float) -> float:
    """One-sided p-value of so many right answers by guessing (exact binomial test)."""
    return float(stats.binomtest(n_right, n, chance, alternative="greater").pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number (Holm 1979), each in its place."""
    found = [0.0] * len(p_values)
    largest = 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        found[i] = largest
    return found
