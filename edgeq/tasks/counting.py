"""Counting on in equal steps."""

from __future__ import annotations

from typing import NamedTuple

from edgeq.records import Item
from edgeq.tasks._random import Draws
from edgeq.tasks._series import series

TITLE = "counting"
GROUP = "numerics"
CHOICE = False
CHANCE = 0.0
N_SHOWN = 4


class Level(NamedTuple):
    """The smallest and the largest step; the digits of all numbers; whether every other question counts down."""

    first: int
    last: int
    n_digits: int = 3
    down: bool = False


LEVELS = (
    Level(1, 1),
    Level(2, 2),
    Level(2, 5),
    Level(2, 5, down=True),
    Level(6, 9),
    Level(6, 9, down=True),
    Level(11, 29, down=True),
    Level(111, 999, n_digits=4, down=True),
)
N_LEVELS = len(LEVELS)


def items(seed: int, level: int, n: int) -> tuple[Item, ...]:
    """``112, 115, 118, 121,`` and the number that is next."""
    return series(TITLE, seed, level, n, lambda draws, i: _count(draws, LEVELS[level], i))


def _count(draws: Draws, level: Level, i: int) -> Item:
    step = draws.between(level.first, level.last)
    lowest = draws.between(10 ** (level.n_digits - 1), 10**level.n_digits - 1 - step * N_SHOWN)
    numbers = [lowest + step * k for k in range(N_SHOWN + 1)]
    if level.down and i % 2:
        numbers.reverse()
    *shown, following = numbers
    return Item(f"{', '.join(map(str, shown))},", (f" {following}",))
