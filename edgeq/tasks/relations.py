"""Relations in several steps: who is the boss of the teacher of Kate?"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from edgeq.records import Item
from edgeq.tasks._random import Draws
from edgeq.tasks._series import series
from edgeq.tasks._words import NAMES

TITLE = "relations"
GROUP = "reasoning"
CHOICE = True
CHANCE = 0.5
RELATIONS = ("teacher", "boss", "doctor", "lawyer", "trainer", "landlord")


class Level(NamedTuple):
    """Steps from the person who is asked about; how many chains of them are told; whether facts stand in disorder."""

    n_steps: int
    n_chains: int
    shuffled: bool = False


LEVELS = (
    Level(1, 1),
    Level(1, 2),
    Level(1, 4),
    Level(2, 2),
    Level(2, 4),
    Level(3, 4),
    Level(3, 4, shuffled=True),
    Level(4, 4, shuffled=True),
)
N_LEVELS = len(LEVELS)


def items(seed: int, level: int, n: int) -> tuple[Item, ...]:
    """``The teacher of Kate is Ben. The boss of Ben is Alice.`` and ``The boss of the teacher of Kate is``.

    The wrong answer ends another chain, and is equally often told before and after the right one. Where there is no
    other chain, it is not in the story.
    """
    return series(TITLE, seed, level, n, lambda draws, i: _relate(draws, LEVELS[level], i))


def _relate(draws: Draws, level: Level, i: int) -> Item:
    relations = draws.some(RELATIONS, level.n_steps)
    people = draws.some(NAMES, level.n_chains * (level.n_steps + 1) + 1)
    stranger = people.pop()
    chains = [people[k :: level.n_chains] for k in range(level.n_chains)]
    facts = [(r, a, b) for chain in chains for r, (a, b) in zip(relations, pairwise(chain), strict=True)]
    if level.shuffled:
        facts = draws.shuffled(facts)
    told = [b for _, _, b in facts]
    ends = sorted(draws.some([chain[-1] for chain in chains], min(2, len(chains))), key=told.index, reverse=i % 2 == 1)
    right, wrong = ends if len(ends) == 2 else (ends[0], stranger)
    (asked,) = (chain[0] for chain in chains if chain[-1] == right)
    story = " ".join(f"The {r} of {a} is {b}." for r, a, b in facts)
    path = " of ".join(f"the {r}" for r in reversed(relations))
    return Item(f"{story}\n{path.capitalize()} of {asked} is", (f" {right}", f" {wrong}"))
