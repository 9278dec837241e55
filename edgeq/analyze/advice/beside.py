"""What lies beside the recommended file: the best on each axis, what each limit costs, and what nothing beats."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgeq.analyze.advice.candidates import Candidate
from edgeq.analyze.advice.limits import Limit, check, keeps
from edgeq.analyze.advice.metrics import AXES, GOALS, Metric, difference
from edgeq.analyze.advice.policy import decide
from edgeq.analyze.fronts import front
from edgeq.records.advice import Goal, LimitCost, Nearest, RunnerUp


def runners_up(pick: Candidate, allowed: Sequence[Candidate]) -> Iterator[RunnerUp]:
    """For each axis on which another allowed file has a figure the best of them, by value."""
    others = [c for c in allowed if c is not pick]
    for metric in AXES:
        if best := _best(others, metric):
            elsewhere = (difference(m, pick.figures, best.figures) for m in AXES if m is not metric)
            there = difference(metric, pick.figures, best.figures)
            yield RunnerUp(metric.axis, best.choice.label, there, tuple(d for d in elsewhere if d))


def _best(others: Sequence[Candidate], metric: Metric) -> Candidate | None:
    found = [(value.value if metric.lower else -value.value, c) for c in others if (value := metric.of(c.figures))]
    return min(found, key=lambda pair: (pair[0], pair[1].order), default=(0.0, None))[1]


def limit_costs(
    pick: Candidate | None, files: Sequence[Candidate], asked: Sequence[Limit], goal: Goal | None
) -> Iterator[LimitCost]:
    """For each limit the file that would win if all the others stayed."""
    for limit in asked:
        others = [other for other in asked if other is not limit]
        decision = decide([c for c in files if keeps(c, others)], goal)
        if decision is None:
            yield LimitCost(limit.option, limit.metric.name, limit.bound, None)
            continue
        winner = decision.winner
        there = difference(GOALS[goal], pick.figures, winner.figures) if pick and winner is not pick else None
        yield LimitCost(limit.option, limit.metric.name, limit.bound, winner.choice.label, winner is pick, there)


def nearest(files: Sequence[Candidate], asked: Sequence[Limit]) -> Nearest | None:
    """The file that misses least: fewest limits unknown, then the smallest sum of misses as shares of the limits."""
    found = []
    for candidate in files:
        checks = tuple(check(candidate, limit) for limit in asked)
        unknown = sum(c.miss is None for c in checks)
        found.append((unknown, sum(c.miss or 0.0 for c in checks), candidate.order, candidate, checks))
    if not asked or not found:
        return None
    _, miss, _, candidate, checks = min(found, key=lambda f: f[:3])
    return Nearest(candidate.choice, checks, miss)


def fronts(allowed: Sequence[Candidate]) -> tuple[tuple[tuple[str, ...], ...], tuple[str, ...]]:
    """The front, as groups of files that are alike, and the metrics it is over: those that any file has."""
    axes = [metric for metric in AXES if any(metric.of(c.figures) for c in allowed)]
    if not axes:
        return (), ()
    found = front([[metric.of(c.figures) for metric in axes] for c in allowed], [metric.lower for metric in axes])
    groups = tuple(tuple(allowed[i].choice.label for i in group) for group in found.groups)
    return groups, tuple(metric.name for metric in axes)
