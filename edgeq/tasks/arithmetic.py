"""Addition and subtraction of whole numbers."""

from __future__ import annotations

from typing import NamedTuple

from edgeq.records import Item
from edgeq.tasks._random import Draws
from edgeq.tasks._series import series

TITLE = "arithmetic"
GROUP = "numerics"
CHOICE = False
CHANCE = 0.0


class Level(NamedTuple):
    """``signs`` come in turn; digits of the operands; results from ``first`` to ``last``; with carries or not."""

    signs: str
    left: int
    right: int
    first: int
    last: int
    carries: bool = True


# Results of a level have as many digits, so that none is the beginning of another; sums of two digits have it anyway.
LEVELS = (
    Level("+", 1, 1, 2, 18),
    Level("+", 2, 1, 10, 99, carries=False),
    Level("+", 2, 2, 10, 99, carries=False),
    Level("+", 2, 2, 10, 99),
    Level("+-", 2, 2, 10, 99),
    Level("+-", 3, 3, 100, 999),
    Level("+-", 4, 4, 1000, 9999),
    Level("+-", 6, 6, 100000, 999999),
)
N_LEVELS = len(LEVELS)


def items(seed: int, level: int, n: int) -> tuple[Item, ...]:
    """``12 + 34 =`` and the result."""
    return series(TITLE, seed, level, n, lambda draws, i: _sum(draws, LEVELS[level], i))


def _sum(draws: Draws, level: Level, i: int) -> Item:
    sign = level.signs[i % len(level.signs)]
    while True:
        a, b = draws.number(level.left), draws.number(level.right)
        result = a + b if sign == "+" else a - b
        if level.first <= result <= level.last and (level.carries or not _carries(a, b)):
            return Item(f"{a} {sign} {b} =", (f" {result}",))


def _carries(a: int, b: int) -> bool:
    return any(int(x) + int(y) > 9 for x, y in zip(reversed(str(a)), reversed(str(b)), strict=False))
