"""Two files that were measured in turns, A B B A: the ratio of their figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np

from edgeq import stats
from edgeq.analyze.clocks import on_host_clock
from edgeq.analyze.energy import energies
from edgeq.records import BenchRecord, Comparison, Energy

_Side = Sequence[BenchRecord]


def comparisons(benches: Sequence[BenchRecord]) -> tuple[Comparison, ...]:
    """Rates, and energies per token at one scope that all turns have, of every two files measured as A B B A."""
    places: dict[tuple[object, ...], dict[str, list[BenchRecord]]] = {}
    for b in sorted(benches, key=lambda b: b.turn):
        file, *place = b.configuration
        places.setdefault(tuple(place), {}).setdefault(str(file), []).append(b)
    return tuple(c for sides in places.values() if len(sides) == 2 for c in _compared(*sides.values()))


def _compared(one: _Side, other: _Side) -> Iterable[Comparison]:
    first, second = sorted((one, other), key=lambda side: min(b.begun_ns for b in side))
    runs = sorted((*first, *second), key=lambda b: b.begun_ns)
    order = [b.model.sha256 == first[0].model.sha256 for b in runs]
    if order != [True, False, False, True] * (len(runs) // 4):
        return
    used = [[energies(b, on_host_clock(b)[0])[0] for b in side] for side in (first, second)]
    for test in (t.name for t in first[0].settings.tests):
        a, b = ([stats.timed_s(r, test) for r in side] for side in (first, second))
        if all(len(t) for t in (*a, *b)):
            yield from _comparison("t/s", test, first, second, stats.interleaved_ratio(a, b))
        figures = [[_figures(found, test) for found in side] for side in used]
        shared = next((s for s in figures[0][0] if all(f.get(s, 0) > 0 for side in figures for f in side)), None)
        if shared:
            a, b = ([np.array([f[shared]]) for f in side] for side in figures)
            # The more joules a token takes, the fewer tokens there are for a joule: the other way round.
            yield from _comparison("J/token", test, first, second, stats.interleaved_ratio(b, a), shared[0])


def _figures(found: Sequence[Energy], test: str) -> dict[tuple[str, str], float]:
    """Joules per token by scope and source, the headline first."""
    return {(e.scope, e.source): e.gross_j_per_token.value for e in found if e.test == test and e.gross_j_per_token}


def _comparison(
    quantity: Literal["t/s", "J/token"],
    test: str,
    first: _Side,
    second: _Side,
    found: stats.Ratio | None,
    scope: str = "",
) -> Iterable[Comparison]:
    if found:
        shas = first[0].model.sha256, second[0].model.sha256
        yield Comparison(quantity, test, *shas, found.ratio, found.ci95, found.n_blocks, scope)
