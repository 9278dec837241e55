"""Multiplication of whole numbers."""

from __future__ import annotations

from edgeq.records import Item
from edgeq.tasks._random import Draws
from edgeq.tasks._series import series

TITLE = "multiplication"
GROUP = "numerics"
CHOICE = False
CHANCE = 0.0
# Digits of the factors and of the product, which is as long for all of a level, so that none is another's beginning.
LEVELS = ((1, 1, 2), (2, 1, 2), (2, 1, 3), (3, 1, 4), (2, 2, 4), (3, 2, 5), (3, 3, 6))
N_LEVELS = len(LEVELS)


def items(seed: int, level: int, n: int) -> tuple[Item, ...]:
    """``12 x 34 =`` and the product."""
    return series(TITLE, seed, level, n, lambda draws, i: _product(draws, *LEVELS[level]))


def _product(draws: Draws, n_left: int, n_right: int, n_result: int) -> Item:
    while True:
        a, b = draws.number(n_left), draws.number(n_right)
        if len(str(a * b)) == n_result:
            return Item(f"{a} x {b} =", (f" {a * b}",))
