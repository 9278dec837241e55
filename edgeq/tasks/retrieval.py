"""Finding the number of a key in a long list, by how deep in the list it stands."""

from __future__ import annotations

from edgeq.records import Item
from edgeq.tasks._random import Draws
from edgeq.tasks._series import N_EXAMPLES, series
from edgeq.tasks._words import THINGS

TITLE = "retrieval"
GROUP = "long context"
CHOICE = False
CHANCE = 0.0
DEPTHS_PCT = (0, 25, 50, 75, 100)
LEVELS = (5, 10, 20, 40, 80, 160, 320, 450)  # pairs; one is 7 to 10 tokens of most vocabularies
N_LEVELS = len(LEVELS)
N_DIGITS = 4


def items(seed: int, level: int, n: int) -> tuple[Item, ...]:
    """A list of keys and numbers, and one of the keys again. ``place`` is its depth.

    Reading the list is what costs. So all items of a level are asked of one list as long as it has enough pairs: it is
    then a part of what all prompts begin with. Of a depth, neighbors are asked for.
    """
    n_pairs = LEVELS[level]
    n_neighbors = min(-(-n // len(DEPTHS_PCT)), n_pairs // len(DEPTHS_PCT))
    pairs: list[tuple[str, int]] = []

    def make(draws: Draws, i: int) -> Item:
        if i < N_EXAMPLES:
            few = _pairs(draws, LEVELS[0])
            return _ask(few, draws.below(len(few)))
        neighbor, depth = divmod((i - N_EXAMPLES) % (n_neighbors * len(DEPTHS_PCT)), len(DEPTHS_PCT))
        if neighbor == depth == 0:
            pairs[:] = _pairs(draws, n_pairs)
        at = (n_pairs - n_neighbors) * DEPTHS_PCT[depth] // 100 + neighbor
        return _ask(pairs, at, f"{DEPTHS_PCT[depth]} %")

    return series(TITLE, seed, level, n, make)


def _pairs(draws: Draws, n: int) -> list[tuple[str, int]]:
    numbers = range(10 ** (N_DIGITS - 1), 10**N_DIGITS)
    return list(zip(draws.some(THINGS, n), draws.some(numbers, n), strict=True))


def _ask(pairs: list[tuple[str, int]], at: int, place: str = "") -> Item:
    key, number = pairs[at]
    lines = "".join(f"{k}: {v}\n" for k, v in pairs)
    return Item(f"{lines}{key}:", (f" {number}",), place)
