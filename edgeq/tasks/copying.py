"""Repeating a number that stands in the text."""

from __future__ import annotations

from edgeq.records import Item
from edgeq.tasks._random import Draws
from edgeq.tasks._series import series
from edgeq.tasks._words import THINGS

TITLE = "copying"
GROUP = "numerics"
CHOICE = False
CHANCE = 0.0
# Digits of a number, how many numbers there are.
LEVELS = ((3, 1), (6, 1), (12, 1), (4, 4), (8, 4), (8, 8), (12, 12), (16, 16))
N_LEVELS = len(LEVELS)


def items(seed: int, level: int, n: int) -> tuple[Item, ...]:
    """Lines such as ``hotel: 4821``, and the beginning of one of them."""
    return series(TITLE, seed, level, n, lambda draws, i: _copy(draws, *LEVELS[level]))


def _copy(draws: Draws, n_digits: int, n_numbers: int) -> Item:
    names = draws.some(THINGS, n_numbers) if n_numbers > 1 else ["Number"]
    numbers = [draws.number(n_digits) for _ in names]
    asked = draws.below(n_numbers)
    lines = "".join(f"{name}: {number}\n" for name, number in zip(names, numbers, strict=True))
    return Item(f"{lines}{names[asked]}:", (f" {numbers[asked]}",))
