"""Words for measured figures, with the limits that they stand for: one place, printed under the table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from edgeq.records import MethodRow
from edgeq.report.figures import EMPTY, Cell, estimate, fixed
from edgeq.report.methods.texts import worst_kld

# Each word holds up to its limit, the last one beyond.
ACCURACY = ((0.01, "near-lossless"), (0.05, "good"), (0.2, "fair"), (1.0, "poor"), (None, "collapsed"))
# These hold from their limits on.
MEMORY = ((0.8, "very low"), (0.6, "low"), (0.4, "medium"), (None, "high"))
SPEED = ((2.0, "fast"), (1.1, "faster"), (0.9, "equal"), (None, "slower"))
STABILITY = ((64.0, "steady"), (16.0, "fair"), (None, "unsteady"))
# More continuations than the reference's by this share end in a loop.
LOOPS = 0.2
Steps = Sequence[tuple[float | None, str]]


class Meaning(NamedTuple):
    """What a word is said of, and what its limits are."""

    term: str
    text: str


def accuracy(row: MethodRow) -> Cell:
    """The largest mean KLD of all texts, in nats."""
    kld = worst_kld(row)
    return estimate(kld)._replace(error="", word=_up_to(kld.value, ACCURACY)) if kld else EMPTY


def memory(row: MethodRow) -> Cell:
    """By how many percent the file is smaller."""
    less = row.size_reduction
    return EMPTY if less is None else Cell(fixed(100 * less, 1), "", 100 * less, _from(less, MEMORY))


def speed(row: MethodRow, test: str | None) -> Cell:
    """t/s of a decode test over the reference's."""
    found = row.speedups.get(test or "")
    return estimate(found.estimate)._replace(error="", word=_from(found.estimate.value, SPEED)) if found else EMPTY


def stability(row: MethodRow, reference: MethodRow) -> Cell:
    """Tokens up to the first that differs from the reference's, the median over prompts; and whether it loops."""
    found = row.stability
    if found is None or not found.same_prefix:
        return EMPTY
    until = found.first_divergence
    before = reference.stability.loops if reference.stability else 0.0
    word = "loops" if found.loops - before > LOOPS else _from(float("inf") if until is None else until, STABILITY)
    text, number = (f">{found.n_tokens}", float(found.n_tokens)) if until is None else (f"{until:g}", until)
    return Cell(text, "", number, "not repeatable" if found.deterministic is False else word)


def meanings() -> list[Meaning]:
    """Every word with its limits."""
    return [
        Meaning("Accuracy", f"largest mean KLD of the texts: {_said_up_to(ACCURACY, ' nats')}."),
        Meaning("Memory", f"how much smaller the file is: {_said_from(MEMORY, ' %', 100)}."),
        Meaning("Speed", f"t/s of decoding over the reference's: {_said_from(SPEED, '×')}."),
        Meaning(
            "Stability",
            f"greedy tokens up to the first that the reference would not say, the median over prompts: "
            f"{_said_from(STABILITY, ' tokens')}; loops: over {LOOPS:.0%} more continuations than the reference's end "
            "in one.",
        ),
    ]


def _up_to(value: float, steps: Steps) -> str:
    return next(word for limit, word in steps if limit is None or value <= limit)


def _from(value: float, steps: Steps) -> str:
    return next(word for limit, word in steps if limit is None or value >= limit)


def _said_up_to(steps: Steps, unit: str) -> str:
    said = [f"{word} up to {limit:g}" for limit, word in steps if limit is not None]
    return f"{', '.join(said)}{unit}, else {steps[-1][1]}"


def _said_from(steps: Steps, unit: str, factor: float = 1.0) -> str:
    said = [f"{word} from {factor * limit:g}" for limit, word in steps if limit is not None]
    return f"{', '.join(said)}{unit}, else {steps[-1][1]}"
