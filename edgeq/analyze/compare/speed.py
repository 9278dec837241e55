"""Tokens per second of each test on both sides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from edgeq import stats
from edgeq.analyze.compare.configurations import Measured
from edgeq.analyze.compare.runs import Pair, Subject, elsewhere, from_runs, from_turns, in_turns
from edgeq.records.compare import Change
from edgeq.stats.runs import Run, run_of_rate

# Repetitions that depend on each other tell less, which the interval allows for; the other findings say that there is
# not one rate to compare.
_ALLOWED_FOR = "autocorrelated"
_MIN_REPS = 3


def speed_changes(pair: Pair) -> tuple[Change, ...]:
    """One change per test that both sides have."""
    return tuple(_speed(pair, test) for test in pair.a.tests if test in pair.b.tests)


def _speed(pair: Pair, test: str) -> Change:
    subject = Subject("tps", "t/s", test)
    sides = [[run for run in side.runs if len(run.times_s(test))] for side in (pair.a, pair.b)]
    if pair.mixed:
        return subject.not_comparable(_rate(sides[0], test), _rate(sides[1], test), pair.mixed)
    a, b = ([run for run in side if not _throttled(run, test)] for side in sides)
    if in_turns(a, b):
        found = stats.interleaved_ratio([run.times_s(test) for run in a], [run.times_s(test) for run in b])
        assert found
        return from_turns(subject, _rate(a, test), _rate(b, test), found)
    a, b = ([run for run in side if not _unsteady(run, test)] for side in (a, b))
    faults = tuple(_faults(sides, test))
    if not a or not b:
        return subject.not_comparable(_rate(sides[0], test), _rate(sides[1], test), "; ".join(faults))

    def run_of(run: Measured) -> Run | None:
        return run_of_rate(run.times_s(test)) if len(run.times_s(test)) else None

    logs = [[run_of_rate(run.times_s(test)) for run in side] for side in (a, b)]
    change = from_runs(subject, logs[0], logs[1], (_rate(a, test), _rate(b, test)), elsewhere(pair, run_of))
    return msgspec.structs.replace(change, left_out=faults)


def _rate(runs: Sequence[Measured], test: str) -> float:
    """Total tokens over total time, of all runs."""
    n_tokens = sum(p.n_tokens for run in runs for p in stats.timed(run.record, test))
    return n_tokens / sum(float(run.times_s(test).sum()) for run in runs)


def _throttled(run: Measured, test: str) -> str:
    found = stats.verdict(run.traces, stats.timed(run.record, test))
    if found.verdict not in ("confirmed", "suspected"):
        return ""
    return f"throttled ({found.verdict}: {found.reason})"


def _unsteady(run: Measured, test: str) -> str:
    times_s = run.times_s(test)
    if len(times_s) < _MIN_REPS:
        return "only " + ("one repetition" if len(times_s) == 1 else f"{len(times_s)} repetitions")
    state = stats.repetitions(stats.timed(run.record, test)[0].n_tokens, times_s).state
    return ", ".join(word for word in state if word != _ALLOWED_FOR)


def _faults(sides: Sequence[Sequence[Measured]], test: str) -> Iterable[str]:
    """What is wrong with each side's runs, and with how many of them."""
    for name, runs in zip("AB", sides, strict=True):
        said = Counter(_throttled(run, test) or _unsteady(run, test) for run in runs)
        for fault, n in said.items():
            if fault:
                which = f" in {n} of {len(runs)} runs" if len(runs) > 1 else ""
                yield f"{name} {fault}{which}"
