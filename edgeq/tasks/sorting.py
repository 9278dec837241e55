"""Sorting a short list of numbers."""

from __future__ import annotations

from edgeq.records import Item
from edgeq.tasks._random import Draws
from edgeq.tasks._series import series

TITLE = "sorting"
GROUP = "numerics"
CHOICE = False
CHANCE = 0.0
# How many numbers, digits of each.
LEVELS = ((3, 1), (3, 2), (4, 2), (5, 2), (6, 2), (8, 2), (10, 2), (10, 3))
N_LEVELS = len(LEVELS)


def items(seed: int, level: int, n: int) -> tuple[Item, ...]:
    """``Numbers: 74, 16, 38`` and ``Sorted:``."""
    return series(TITLE, seed, level, n, lambda draws, i: _sort(draws, *LEVELS[level]))


def _sort(draws: Draws, n_numbers: int, n_digits: int) -> Item:
    numbers = draws.some(range(10 ** (n_digits - 1), 10**n_digits), n_numbers)
    return Item(f"Numbers: {_listed(numbers)}\nSorted:", (f" {_listed(sorted(numbers))}",))


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))
