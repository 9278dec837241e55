"""One device's answer: the pick, why it won, and what is beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgeq.analyze.advice.beside import fronts, limit_costs, nearest, runners_up
from edgeq.analyze.advice.candidates import Candidate
from edgeq.analyze.advice.damage import broken
from edgeq.analyze.advice.groups import Group
from edgeq.analyze.advice.limits import Limit, check, keeps, limits
from edgeq.analyze.advice.metrics import GOALS, Metric
from edgeq.analyze.advice.policy import START_BPW, Decision, decide
from edgeq.analyze.advice.tariffs import stays
from edgeq.records import Note
from edgeq.records.advice import Answer, Goal, Wanted

_MOST = {
    "quality": "the lowest KLD",
    "speed": "the most t/s",
    "energy": "the fewest J/token",
    "cost": "the lowest cost",
}


def answer(group: Group, wanted: Wanted) -> Answer:
    """The answer for one device."""
    asked, files = limits(wanted), group.files
    allowed = [c for c in files if keeps(c, asked)]
    decision = decide(allowed, wanted.goal)
    metric = GOALS[wanted.goal]
    pick = decision.winner if decision else None
    costs = tuple(limit_costs(pick, files, asked, wanted.goal))
    notes = (*group.notes, *_unknown(files, allowed, asked, metric))
    if decision is None or pick is None:
        return Answer(
            group.device,
            len(files),
            len(allowed),
            metric.name,
            why=_why_not(files, allowed, metric),
            limit_costs=costs,
            nearest=None if allowed else nearest(files, asked),
            notes=notes,
        )
    groups, axes = fronts(allowed)
    return Answer(
        group.device,
        len(files),
        len(allowed),
        metric.name,
        pick=pick.choice,
        why=_why(decision, files, asked, wanted.goal),
        alike=tuple(c.choice.label for c in decision.alike),
        unsteady=tuple(c.choice.label for c in decision.unsteady),
        broken=tuple(broken(pick.choice)),
        checks=tuple(check(pick, limit) for limit in asked),
        runners_up=tuple(runners_up(pick, allowed)),
        limit_costs=costs,
        tariff=stays(allowed, wanted.tariff.per_kwh) if wanted.tariff else None,
        front=groups,
        front_axes=axes,
        notes=notes,
    )


def _why(decision: Decision, files: Sequence[Candidate], asked: Sequence[Limit], goal: Goal | None) -> str:
    """Why it won, in a sentence or two."""
    return " ".join(
        (*(_by_goal(goal, bool(asked)) if goal else _by_bits(decision, files, asked)), *_tied(decision, goal))
    )


def _by_goal(goal: Goal, limited: bool) -> Iterator[str]:
    yield f"It has {_MOST[goal]} of {'the files that keep every limit' if limited else 'all files'}."


def _by_bits(decision: Decision, files: Sequence[Candidate], asked: Sequence[Limit]) -> Iterator[str]:
    """The start at about 4 bits, and what forced another choice."""
    winner, bound = decision.winner, f"{START_BPW:g} bits per parameter"
    if winner.row.bpw > START_BPW:
        low = any(c.row.bpw <= START_BPW for c in files)
        kept = "keeps every limit with a known KLD" if asked else "has a known KLD"
        yield (
            f"No file of at most {bound} {kept}; this is the smallest above."
            if low
            else (f"No file here has at most {bound}; this is the smallest.")
        )
        return
    yield f"It has the lowest KLD of the files of at most {bound}{' that keep every limit' if asked else ''}."
    start = decide(files, None)
    if start and start.winner is not winner:
        failed = [limit.option for limit in asked if not check(start.winner, limit).ok]
        if failed:
            yield f"{start.winner.choice.label}, where one would start, fails {' and '.join(failed)}."


def _tied(decision: Decision, goal: Goal | None) -> Iterator[str]:
    metric = GOALS[goal].name
    if decision.alike:
        alike = ", ".join(c.choice.label for c in decision.alike)
        same = any(c.row.n_bytes == decision.winner.row.n_bytes for c in decision.alike)
        most = (
            "the smallest of them" if not same else "the smallest of them, or of the same size with less energy or time"
        )
        yield f"On {metric} nothing tells it from {alike}; it is {most}."
    winner = GOALS[goal].of(decision.winner.figures)
    if winner and winner.se is None:
        yield f"No file has a standard error of its {metric}: this goes by values that were not steady."
    if decision.unsteady:
        names = ", ".join(c.choice.label for c in decision.unsteady)
        yield f"Not ranked, as their {metric} was not steady: {names}."


def _why_not(files: Sequence[Candidate], allowed: Sequence[Candidate], metric: Metric) -> str:
    if not files:
        return "There is no file to choose from."
    if allowed:
        return f"{metric.name} is not known of any file that keeps the limits, so nothing can be recommended by it."
    return "No file keeps every limit."


def _unknown(
    files: Sequence[Candidate], allowed: Sequence[Candidate], asked: Sequence[Limit], metric: Metric
) -> Iterator[Note]:
    """What is not known, and what would measure it."""
    for limit in asked:
        if unknown := [c.choice.label for c in files if check(c, limit).value is None]:
            text = f"{limit.metric.name} is not known of {_listed(unknown, files)}: unknown keeps no limit."
            yield Note("unknown-limit", text, limit.metric.measure)
    if unknown := [c.choice.label for c in allowed if metric.of(c.figures) is None]:
        text = f"{metric.name} is not known of {_listed(unknown, allowed)}: unknown wins no goal."
        yield Note("unknown-goal", text, metric.measure)


def _listed(names: Sequence[str], of: Sequence[Candidate]) -> str:
    if len(names) == len(of):
        return "any file"
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
