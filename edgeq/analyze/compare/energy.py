"""Joules per token of each test on both sides, seen from the same place."""

from __future__ import annotations

import math

import numpy as np

from edgeq import stats
from edgeq.analyze.compare.configurations import Configuration, Measured
from edgeq.analyze.compare.runs import Pair, Subject, elsewhere, from_runs, from_turns, in_turns
from edgeq.records import Estimate
from edgeq.records.compare import Change
from edgeq.stats.runs import Run

# Scope and source.
_View = tuple[str, str]


def energy_changes(pair: Pair) -> tuple[Change, ...]:
    """One change per test that both sides have energy of, gross, at the widest scope that they share."""
    found = [_energy(pair, test) for test in pair.a.tests if test in pair.b.tests]
    return tuple(change for change in found if change)


def _energy(pair: Pair, test: str) -> Change | None:
    a, b = (_views(side, test) for side in (pair.a, pair.b))
    if not a or not b:
        return None
    shared = [view for view in a if view in b]
    if not shared:
        reason = f"A was measured at {_words(a)}, B at {_words(b)}"
        return Subject("j_per_token", "J/token", test).not_comparable(None, None, reason)
    view = shared[0]
    estimated = any(e.estimated for run in pair.a.runs for e in run.energies if (e.scope, e.source) == view)
    subject = Subject("j_per_token", "J/token", test, view[0], estimated)
    runs = [[run for run in side.runs if _figure(run, test, view)] for side in (pair.a, pair.b)]
    figures = [[f for run in side if (f := _figure(run, test, view))] for side in runs]
    means = [float(np.mean([f.value for f in side])) for side in figures]
    if pair.mixed:
        return subject.not_comparable(means[0], means[1], pair.mixed)
    if in_turns(*runs):
        # The more joules a token takes, the fewer tokens there are for a joule: the other way round.
        turns = [[np.array([f.value]) for f in side] for side in reversed(figures)]
        found = stats.interleaved_ratio(*turns)
        assert found
        return from_turns(subject, means[0], means[1], found)

    def run_of(run: Measured) -> Run | None:
        figure = _figure(run, test, view)
        return _run(figure) if figure else None

    logs = [[_run(f) for f in side] for side in figures]
    return from_runs(subject, logs[0], logs[1], (means[0], means[1]), elsewhere(pair, run_of))


def _run(figure: Estimate) -> Run:
    # The meter's gain is the same on both sides where it is the same meter; kept in, the interval is too wide at most.
    return Run(math.log(figure.value), ((figure.se or 0.0) / figure.value) ** 2)


def _views(side: Configuration, test: str) -> list[_View]:
    """Where the energy of this test was seen from, by preference."""
    found = dict.fromkeys((e.scope, e.source) for run in side.runs for e in run.energies if e.test == test)
    return [view for view in found if any(_figure(run, test, view) for run in side.runs)]


def _figure(run: Measured, test: str, view: _View) -> Estimate | None:
    """Gross joules per token; none where there is no positive figure."""
    for e in run.energies:
        gross = e.gross_j_per_token
        if (e.test, e.scope, e.source) == (test, *view) and gross and gross.value > 0:
            return gross
    return None


def _words(views: list[_View]) -> str:
    return " and ".join(f"scope {scope} by {source}" for scope, source in views)
