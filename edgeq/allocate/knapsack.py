"""The multiple-choice knapsack: one option for each item, least damage in all within a budget, or within two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Option:
    """``size``: what the budget is for. ``time``: what a second one is for, if there is one."""

    damage: float
    size: int
    time: float = 0.0


# Steps that a budget is divided into: rounding sizes to them loses about a hundredth of a percent.
_BUCKETS = 40_000
_COARSE_BUCKETS = 8_000
_BISECTIONS = 14


def solve(items: Sequence[Sequence[Option]], budget: int, max_time: float | None = None) -> list[int] | None:
    """Index of the option of each item; None where nothing fits. Dynamic programming over sizes.

    With a second budget its price is searched for by bisection: the least damage at that price is the optimum but for
    one item's step (Lagrangian relaxation).
    """
    if max_time is None or not items:
        return _solve(items, budget, 0.0, _BUCKETS)
    best = _solve(items, budget, 0.0, _BUCKETS)
    if best is None or _time(items, best) <= max_time:
        return best
    most = max(o.damage for options in items for o in options)
    low, high = 0.0, most * len(items) / max(max_time, 1e-300)
    best = None
    for _ in range(_BISECTIONS):
        price = (low + high) / 2 if best is None or low > 0 else high / 8
        found = _solve(items, budget, price, _COARSE_BUCKETS)
        if found is not None and _time(items, found) <= max_time:
            best, high = found, price
        else:
            low = price
    return best


def _time(items: Sequence[Sequence[Option]], chosen: Sequence[int]) -> float:
    return sum(options[i].time for options, i in zip(items, chosen, strict=True))


def _solve(items: Sequence[Sequence[Option]], budget: int, price: float, n_buckets: int) -> list[int] | None:
    least = [min(o.size for o in options) for options in items]
    slack = budget - sum(least)
    if slack < 0:
        return None
    extra = [[o.size - smallest for o in options] for options, smallest in zip(items, least, strict=True)]
    unit = max(1.0, slack / n_buckets)
    steps = [[round(e / unit) for e in of_item] for of_item in extra]
    n = int(slack / unit)
    best = np.zeros(n + 1)  # least damage of the items so far, by the steps that they may take
    choices = []
    for options, of_item in zip(items, steps, strict=True):
        found = np.full(n + 1, np.inf)
        choice = np.zeros(n + 1, np.uint8)
        for i, (option, step) in enumerate(zip(options, of_item, strict=True)):
            if step <= n:
                with_it = best[: n + 1 - step] + (option.damage + price * option.time)
                better = with_it < found[step:]
                found[step:][better] = with_it[better]
                choice[step:][better] = i
        best = found
        choices.append(choice)
    left = n
    while left >= 0:
        chosen = _followed(choices, steps, left)
        over = sum(of_item[i] for of_item, i in zip(extra, chosen, strict=True)) - slack
        if over <= 0:
            return chosen
        left -= max(1, int(over / unit))  # the sum of what rounding has hidden
    return None


def _followed(choices: Sequence[np.ndarray], steps: Sequence[Sequence[int]], left: int) -> list[int]:
    chosen = []
    for choice, of_item in zip(reversed(choices), reversed(steps), strict=True):
        i = int(choice[left])
        chosen.append(i)
        left -= of_item[i]
    return chosen[::-1]
