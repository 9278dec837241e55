"""Solves the questions of the tasks from their text alone, by other ways than they are made, and how hard that was."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from decimal import Decimal
from typing import NamedTuple


class Solved(NamedTuple):
    """Those of the answers that are right, and the work it took: only its order from level to level means something."""

    right: list[str]
    work: tuple[float, ...]


Solver = Callable[[str, tuple[str, ...]], Solved]


def mentioned(text: str, answer: str) -> list[int]:
    """Where a text has an answer as a word or number of its own."""
    return [m.start() for m in re.finditer(rf"(?<![\w.]){re.escape(answer.strip())}(?!\w|\.\d)", text)]


def _only(result: str, answers: tuple[str, ...]) -> list[str]:
    return [answer for answer in answers if answer == f" {result}"] or [f" {result}"]


def arithmetic(text: str, answers: tuple[str, ...]) -> Solved:
    a, sign, b, _ = text.split()
    # In columns, from the right, as in school.
    width, carry, digits, n_carried = max(len(a), len(b)), 0, "", 0
    for x, y in zip(reversed(a.zfill(width)), reversed(b.zfill(width)), strict=True):
        carry, digit = divmod(int(x) + int(y) + carry if sign == "+" else int(x) - int(y) + carry, 10)
        digits, n_carried = f"{digit}{digits}", n_carried + (carry != 0)
    result = str(int(f"{carry or ''}{digits}"))
    return Solved(_only(result, answers), (len(a + b) + n_carried / 2 + (sign == "-") / 2,))


def multiplication(text: str, answers: tuple[str, ...]) -> Solved:
    a, b = text.removesuffix(" =").split(" x ")
    return Solved(_only(str(sum([int(a)] * int(b))), answers), (len(a) * len(b) + len(answers[0]),))


def counting(text: str, answers: tuple[str, ...]) -> Solved:
    numbers = [int(x) for x in re.findall(r"\d+", text)]
    steps = {b - a for a, b in itertools.pairwise(numbers)}
    assert len(steps) == 1
    (step,) = steps
    return Solved(_only(str(numbers[-1] + step), answers), (abs(step) + (step < 0),))


def copying(text: str, answers: tuple[str, ...]) -> Solved:
    *lines, last = text.split("\n")
    found = [line.removeprefix(f"{last} ") for line in lines if line.startswith(f"{last} ")]
    assert len(found) == 1
    return Solved(_only(found[0], answers), (len(lines) * len(found[0]),))


def sorting(text: str, answers: tuple[str, ...]) -> Solved:
    numbers = [int(x) for x in re.findall(r"\d+", text)]
    return Solved(_only(", ".join(map(str, _merged(numbers))), answers), (sum(len(str(x)) for x in numbers),))


def _merged(numbers: list[int]) -> list[int]:
    smallest = min(numbers)
    rest = [x for x in numbers if x != smallest]
    return [smallest, *_merged(rest)] if rest else [smallest]


def decimals(text: str, answers: tuple[str, ...]) -> Solved:
    found = re.fullmatch(r"(max|min)\(([\d.]+), ([\d.]+)\) =", text)
    assert found
    function, *numbers = found.groups()
    best = {"max": max, "min": min}[function](numbers, key=Decimal)
    a, b = (x.partition(".") for x in numbers)
    n_same = sum(1 for x, y in zip(a[2], b[2], strict=False) if x == y) if a[0] == b[0] else -1
    n_decimals = len(a[2] + b[2])
    return Solved(
        _only(best, answers), (n_same * 10 + n_decimals + 9 * (len(a[2]) != len(b[2])) + (function == "min"),)
    )


def relations(text: str, answers: tuple[str, ...]) -> Solved:
    story, question = text.split("\n")
    told = {(r, a): b for r, a, b in re.findall(r"The (\w+) of (\w+) is (\w+)\.", story)}
    *path, person = re.fullmatch(r"The (.*) is", question)[1].replace(" the ", " ").split(" of ")  # type: ignore[index]
    for relation in reversed(path):
        person = told[relation, person]
    return Solved([a for a in answers if a == f" {person}"], (len(path) * len(told), _disorder(story)))


def _disorder(story: str) -> float:
    """Share of sentences that don't begin with what the one before ended with."""
    sentences = [re.findall(r"\w+", s) for s in story.split(". ")]
    return sum(a[-1] not in b for a, b in itertools.pairwise(sentences)) / len(sentences)


def ordering(text: str, answers: tuple[str, ...]) -> Solved:
    story, question = text.split("\n")
    facts = re.findall(r"(\w+) is (\w+) than (\w+)\.", story)
    asked, word = re.fullmatch(r"(\w+) is (\w+) than", question).groups()  # type: ignore[union-attr]
    words = {w for _, w, _ in facts}
    assert len(words | {word}) <= 2
    # Pairs (a, b) of which a has more of what the question asks for; then all that follow from them.
    more = {(a, b) if w == word else (b, a) for a, w, b in facts}
    while new := {(a, d) for a, b in more for c, d in more if b == c} - more:
        more |= new
    assert not any((b, a) in more for a, b in more)
    right = [a for a in answers if (asked, a.strip()) in more]
    opposite = word not in words or len(words) > 1
    return Solved(right, (len(facts) * (len(facts) + 1) + opposite, _disorder(story)))


def syllogisms(text: str, answers: tuple[str, ...]) -> Solved:
    if "Conclusion" not in text:
        return _person(text, answers)
    story, claim, _ = text.split("\n")
    premises = re.findall(r"(All|Some|No) (\w+) are (\w+)\.", story)
    (conclusion,) = re.findall(r"(All|Some|No) (\w+) are (\w+)\.", claim)
    groups = sorted({g for _, a, b in premises for g in (a, b)})
    kinds = [frozenset(c) for n in range(len(groups) + 1) for c in itertools.combinations(groups, n)]
    # What none of the premises forbids. A world of one or two beings shows all that larger ones could show here:
    # one for what a "some" promises, one that the conclusion is wrong about.
    allowed = [kind for kind in kinds if all(_holds(p, [kind]) for p in premises if p[0] != "Some")]
    worlds = itertools.combinations_with_replacement(allowed, 2)
    follows = all(_holds(conclusion, world) for world in worlds if all(_holds(p, world) for p in premises))
    return Solved([a for a in answers if a == (" yes" if follows else " no")], (1, len(premises), _disorder(story)))


def _holds(statement: tuple[str, str, str], world: tuple[frozenset[str], ...] | list[frozenset[str]]) -> bool:
    quantifier, a, b = statement
    both = [b in being for being in world if a in being]
    return {"All": all(both), "No": not any(both), "Some": any(both)}[quantifier]


def _person(text: str, answers: tuple[str, ...]) -> Solved:
    story, question = text.split("\n")
    person = re.fullmatch(r"Therefore (\w+) is a", question)[1]  # type: ignore[index]
    rules = re.findall(r"Every (\w+) is a (\w+)\.", story)
    known = set(re.findall(rf"{person} is a (\w+)\.", story))
    # The least that this person can be. It keeps to all that is said, so that nothing more follows.
    while new := {b for a, b in rules if a in known} - known:
        known |= new
    right = [a for a in answers if a.strip() in known]
    return Solved(right, (0, story.count("."), _disorder(story)))


SOLVERS: dict[str, Solver] = {
    "arithmetic": arithmetic,
    "copying": copying,
    "counting": counting,
    "decimals": decimals,
    "multiplication": multiplication,
    "ordering": ordering,
    "relations": relations,
    "retrieval": copying,
    "sorting": sorting,
    "syllogisms": syllogisms,
}
