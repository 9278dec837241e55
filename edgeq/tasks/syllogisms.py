"""Syllogisms: what somebody must be, and, at the higher levels, whether a conclusion follows."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from edgeq.records import Item
from edgeq.tasks._random import Draws
from edgeq.tasks._series import series
from edgeq.tasks._words import GROUPS, NAMES

TITLE = "syllogisms"
GROUP = "reasoning"
CHOICE = True
CHANCE = 0.5


class Level(NamedTuple):
    """``n_rules`` lie between somebody and what that one must be, for each of ``n_people``.

    No people: that many premises lie between the two groups of a conclusion, which is valid or not.
    """

    n_rules: int
    n_people: int
    shuffled: bool = False


LEVELS = (
    Level(1, 1),
    Level(1, 2),
    Level(2, 2),
    Level(2, 3, shuffled=True),
    Level(3, 4, shuffled=True),
    Level(2, 0),
    Level(3, 0, shuffled=True),
    Level(4, 0, shuffled=True),
)
N_LEVELS = len(LEVELS)
ALL, SOME, NO = "All {} are {}.", "Some {} are {}.", "No {} are {}."
# The first premise, the last one and the conclusion; those between are ALL. What of them is SOME or NO says the same
# either way round. An ALL, of which there is always one, doesn't: turning one around makes the conclusion invalid.
FORMS = ((ALL, ALL, ALL), (ALL, NO, NO), (SOME, ALL, SOME))


def items(seed: int, level: int, n: int) -> tuple[Item, ...]:
    """``Kate is a baker. Every baker is a poet. Therefore Kate is a``, or ``Conclusion: ... Does it follow?``.

    The wrong answer is what another person must be, equally often told before and after the right one, or, where there
    is nobody else, is not in the story. Conclusions of each form are equally often valid and not.
    """
    make = _person if LEVELS[level].n_people else _conclusion
    return series(TITLE, seed, level, n, lambda draws, i: make(draws, LEVELS[level], i))


def _person(draws: Draws, level: Level, i: int) -> Item:
    people = draws.some(NAMES, level.n_people)
    groups = draws.some(GROUPS, level.n_people * (level.n_rules + 1) + 1)
    nowhere = groups.pop()
    chains = [groups[k :: level.n_people] for k in range(level.n_people)]
    facts = []
    for person, chain in zip(people, chains, strict=True):
        facts.append(f"{person} is a {chain[0]}.")
        facts += [f"Every {a} is a {b}." for a, b in pairwise(chain)]
    if level.shuffled:
        facts = draws.shuffled(facts)
    story = " ".join(facts)
    ends = draws.some([chain[-1] for chain in chains], min(2, level.n_people))
    ends.sort(key=lambda end: story.index(f" {end}."), reverse=i % 2 == 1)
    right, wrong = ends if len(ends) == 2 else (ends[0], nowhere)
    (asked,) = (person for person, chain in zip(people, chains, strict=True) if chain[-1] == right)
    return Item(f"{story}\nTherefore {asked} is a", (f" {right}", f" {wrong}"))


def _conclusion(draws: Draws, level: Level, i: int) -> Item:
    valid = i % 2 == 0
    first, last, conclusion = FORMS[i // 2 % len(FORMS)]
    forms = [first, *[ALL] * (level.n_rules - 2), last]
    one_way = [k for k, form in enumerate(forms) if form == ALL]
    turned = {k for k in range(level.n_rules) if k not in one_way and draws.below(2)}
    if not valid:
        turned.add(draws.one(one_way))
    groups = [f"{group}s" for group in draws.some(GROUPS, level.n_rules + 1)]
    facts = [
        form.format(*(pair[::-1] if k in turned else pair))
        for k, (form, pair) in enumerate(zip(forms, pairwise(groups), strict=True))
    ]
    if level.shuffled:
        facts = draws.shuffled(facts)
    claim = conclusion.format(groups[0], groups[-1])
    return Item(
        f"{' '.join(facts)}\nConclusion: {claim}\nDoes it follow?", (" yes", " no") if valid else (" no", " yes")
    )
