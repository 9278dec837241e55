"""Two files that were measured in turns, A B B A: the ratio of their figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np

from edgeq import stats
from edgeq.analyze.energy import energies
from edgeq.records import BenchRecord, Comparison


def comparisons(benches: Sequence[BenchRecord]) -> tuple[Comparison, ...]:
    """Rates, and energies per token where both have one, of two configurations that were measured equally often."""
    turns: dict[str, list[BenchRecord]] = {}
    for b in sorted(benches, key=lambda b: b.turn):
        turns.setdefault(b.model.sha256, []).append(b)
    sides = sorted(turns.values(), key=lambda side: side[0].phases[0].t0_ns)
    if len(sides) != 2 or len(sides[0]) != len(sides[1]) or len(sides[0]) < 2:
        return ()
    return tuple(_all(*sides))


def _all(first: Sequence[BenchRecord], second: Sequence[BenchRecord]) -> Iterable[Comparison]:
    for test in (t.name for t in first[0].settings.tests):
        a, b = ([stats.timed_s(r, test) for r in side] for side in (first, second))
        if all(len(t) for t in (*a, *b)):
            yield from _comparison("t/s", test, first, second, stats.interleaved_ratio(a, b))
        a, b = ([_joules(r, test) for r in side] for side in (first, second))
        if all(len(j) for j in (*a, *b)):
            # The more joules a token takes, the fewer tokens there are for a joule: the other way round.
            yield from _comparison("J/token", test, first, second, stats.interleaved_ratio(b, a))


def _comparison(
    quantity: Literal["t/s", "J/token"],
    test: str,
    first: Sequence[BenchRecord],
    second: Sequence[BenchRecord],
    found: stats.Ratio | None,
) -> Iterable[Comparison]:
    if found:
        shas = first[0].model.sha256, second[0].model.sha256
        yield Comparison(quantity, test, *shas, found.ratio, found.ci95, found.n_blocks)


def _joules(record: BenchRecord, test: str) -> stats.F64:
    """The headline's energy per token as the only value of an array; empty where there is none."""
    found = [e.gross_j_per_token for e in energies(record, record.traces)[0] if e.headline and e.test == test]
    return np.array([j.value for j in found if j])
