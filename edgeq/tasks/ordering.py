"""Order among people that follows from comparisons of neighbors."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from edgeq.records import Item
from edgeq.tasks._random import Draws
from edgeq.tasks._series import series
from edgeq.tasks._words import NAMES

TITLE = "ordering"
GROUP = "reasoning"
CHOICE = True
CHANCE = 0.5
OPPOSITES = (
    ("taller", "shorter"),
    ("older", "younger"),
    ("faster", "slower"),
    ("richer", "poorer"),
    ("stronger", "weaker"),
)


class Level(NamedTuple):
    """``distance``: from the person who is asked about to both answers; the wrong one may not even be told.

    ``opposite``: every other question has the opposite of the story's word; ``mixed``: the story has both words.
    """

    distance: int
    both_told: bool = True
    opposite: bool = False
    shuffled: bool = False
    mixed: bool = False


LEVELS = (
    Level(1, both_told=False),
    Level(1),
    Level(1, opposite=True),
    Level(2),
    Level(2, opposite=True),
    Level(2, opposite=True, shuffled=True),
    Level(3, opposite=True, shuffled=True),
    Level(4, opposite=True, shuffled=True, mixed=True),
)
N_LEVELS = len(LEVELS)


def items(seed: int, level: int, n: int) -> tuple[Item, ...]:
    """``Ben is taller than Kate. Kate is taller than Tom.`` and ``Kate is taller than``.

    The one who is asked about stands in the middle of the order, the wrong answer on the other side, just as far. It is
    equally often told before and after the right one.
    """
    return series(TITLE, seed, level, n, lambda draws, i: _order(draws, LEVELS[level], i))


def _order(draws: Draws, level: Level, i: int) -> Item:
    word, opposite = draws.shuffled(draws.one(OPPOSITES))
    people = draws.some(NAMES, 2 * level.distance + 1)
    facts = []
    for a, b in pairwise(people if level.both_told else people[level.distance :]):
        turned = level.mixed and draws.below(2)
        facts.append(f"{b} is {opposite} than {a}." if turned else f"{a} is {word} than {b}.")
    right, asked, wrong = people[-1], people[level.distance], people[0]
    if level.opposite and i // 2 % 2:
        right, wrong, word = wrong, right, opposite
    if level.shuffled:
        facts = draws.shuffled(facts)
    # Both ends are in one fact each, so that turning the story around decides which of them is told first.
    told_first = next(name for fact in facts for name in (right, wrong) if name in fact)
    if told_first != (right, wrong)[i % 2]:
        facts.reverse()
    return Item(f"{' '.join(facts)}\n{asked} is {word} than", (f" {right}", f" {wrong}"))
