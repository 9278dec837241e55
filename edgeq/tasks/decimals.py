"""Comparing decimal numbers: is 9.11 or 9.9 the larger one?"""

from __future__ import annotations

from typing import NamedTuple

from edgeq.records import Item
from edgeq.tasks._random import Draws
from edgeq.tasks._series import series

TITLE = "decimals"
GROUP = "numerics"
CHOICE = True
CHANCE = 0.5


class Level(NamedTuple):
    """``decimals`` of the two numbers; ``n_shared`` of them are the same (None: not even the whole part is)."""

    decimals: tuple[int, int]
    n_shared: int | None
    functions: tuple[str, ...] = ("max",)


LEVELS = (
    Level((0, 0), None),
    Level((1, 1), None),
    Level((1, 1), 0),
    Level((2, 2), 0),
    Level((1, 2), 0),
    Level((1, 2), 0, ("max", "min")),
    Level((2, 3), 1, ("max", "min")),
    Level((3, 5), 2, ("max", "min")),
)
N_LEVELS = len(LEVELS)


def items(seed: int, level: int, n: int) -> tuple[Item, ...]:
    """``max(9.11, 9.9) =``, in the notation that small models know best.

    The right number is equally often the first and the second one, the one with more decimals and that with less.
    """
    return series(TITLE, seed, level, n, lambda draws, i: _compare(draws, LEVELS[level], i))


def _compare(draws: Draws, level: Level, i: int) -> Item:
    right_is_first, right_is_longer = i % 2, i // 2 % 2
    function = level.functions[i // 4 % len(level.functions)]
    less, more = sorted(draws.some(range(1, 10), 2))
    right_digit, wrong_digit = (more, less) if function == "max" else (less, more)
    n_wrong, n_right = level.decimals if right_is_longer else level.decimals[::-1]
    if level.n_shared is None:
        right, wrong = (str(d) + _decimals(draws, n, "") for d, n in ((right_digit, n_right), (wrong_digit, n_wrong)))
    else:
        whole = draws.between(1, 99)
        shared = _digits(draws, level.n_shared)
        right = f"{whole}{_decimals(draws, n_right, f'{shared}{right_digit}')}"
        wrong = f"{whole}{_decimals(draws, n_wrong, f'{shared}{wrong_digit}')}"
    first, second = (right, wrong) if right_is_first else (wrong, right)
    return Item(f"{function}({first}, {second}) =", (f" {right}", f" {wrong}"))


def _decimals(draws: Draws, n: int, begin: str) -> str:
    return f".{begin}{_digits(draws, n - len(begin))}" if n else ""


def _digits(draws: Draws, n: int) -> str:
    """Without zeros: one at the end would say nothing about the number, and a lot about its look."""
    return "".join(str(draws.between(1, 9)) for _ in range(n))
