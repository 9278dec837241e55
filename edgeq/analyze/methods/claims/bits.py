"""What a number of bits is said to cost and to save: accuracy, memory, time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edgeq.analyze.methods import fidelity, tasks
from edgeq.analyze.methods.claims.choosing import Shown, of_bits, why_none
from edgeq.analyze.methods.claims.verdicts import Subject, exactly
from edgeq.analyze.methods.facts import ArmFacts
from edgeq.records import Claim, Estimate, Figure


@dataclass(frozen=True)
class Promise:
    """``loss``: at most, and ``smaller``: at least this share of the reference. ``faster``: from and up to what factor.

    A claim that is more than kept is kept.
    """

    bits: int
    accuracy: str
    loss: float
    memory: str
    smaller: float
    speed: str
    faster: tuple[float, float]


FOUR = Promise(
    4,
    "4 bits stay within 1 to 3 % of F16",
    0.03,
    # "About" is taken as five points.
    "4 bits take about 70 % less memory",
    0.65,
    "4 bits are 1.5 to 2 times faster",
    (1.5, 2.0),
)
TWO = Promise(
    2,
    "Group-wise 2 bits are 4 to 6 % down",
    0.06,
    "2 bits take over 85 % less memory",
    0.85,
    "2 bits are 2 to 3 times faster",
    (2.0, 3.0),
)


def promised(promise: Promise, arms: Sequence[Shown], reference: ArmFacts) -> Iterator[Claim]:
    """Every side of it, for the plain and for the best arm with so many bits."""
    chosen = of_bits(arms, promise.bits)
    if not chosen:
        reason = why_none(arms, promise.bits)
        for text, aspect in ((promise.accuracy, "accuracy"), (promise.memory, "memory"), (promise.speed, "speed")):
            yield Subject(text, aspect).unknown(reason)
        return
    for arm in chosen:
        yield _perplexity(promise, arm)
        yield _accuracy(promise, arm, reference)
    for arm in chosen:
        yield from _memory(promise, arm)
    for test in dict.fromkeys(test for arm in chosen for test in arm.row.speedups) or [""]:
        for arm in chosen:
            yield _speed(promise, arm, test)


def _perplexity(promise: Promise, arm: Shown) -> Claim:
    subject = Subject(promise.accuracy, f"perplexity, {arm.name}")
    found = fidelity.ppl_loss(arm.facts)
    if not found:
        return subject.unknown("no text was scored in two chunks or more")
    figure, n_chunks = found
    return subject.at_most(figure, promise.loss, f"{arm.name}, {n_chunks} chunks of {_texts(arm)}")


def _accuracy(promise: Promise, arm: Shown, reference: ArmFacts) -> Claim:
    subject = Subject(promise.accuracy, f"tasks, {arm.name}")
    if not arm.facts.tasks or not reference.tasks:
        return subject.unknown("no task was measured")
    found = tasks.pooled(arm.facts.tasks, reference.tasks)
    if not found:
        return subject.unknown("the reference itself is hardly better than guessing at these tasks")
    value, (low, high) = found.difference.estimate, found.difference.ci95 or (-1.0, 1.0)
    se = None if value.se is None else value.se / found.reference
    loss = Figure(Estimate(0.0 - value.value / found.reference, se), (-high / found.reference, -low / found.reference))
    basis = f"{arm.name}, {found.n_items} questions of {', '.join(found.tasks)}, share of the reference's right answers"
    return subject.at_most(loss, promise.loss, basis)


def _memory(promise: Promise, arm: Shown) -> Iterator[Claim]:
    reductions = (("file", arm.row.size_reduction), ("resident peak", arm.row.rss_reduction))
    for aspect, reduction in reductions:
        subject = Subject(promise.memory, f"{aspect}, {arm.name}")
        if reduction is None:
            yield subject.unknown("it was not measured")
        else:
            yield subject.at_least(exactly(reduction), promise.smaller, arm.name)


def _speed(promise: Promise, arm: Shown, test: str) -> Claim:
    phase = "prefill" if test.startswith("pp") else "decode"
    subject = Subject(promise.speed, f"{phase} {test}, {arm.name}" if test else f"speed, {arm.name}", "×")
    if test not in arm.row.speedups:
        return subject.unknown("it was not measured")
    figure = arm.row.speedups[test]
    beyond = figure.ci95 is not None and figure.ci95[0] > promise.faster[1]
    return subject.at_least(
        figure, promise.faster[0], f"{arm.name}, one run each", "more than claimed" if beyond else ""
    )


def _texts(arm: Shown) -> str:
    n = len(arm.facts.evals)
    return f"{n} text{'' if n == 1 else 's'}"
