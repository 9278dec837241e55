"""Many files one after the other: anchors show whether the machine stayed the same; ABBA compares two of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

from edgeq import stats
from edgeq.bench.one import Bench, Update
from edgeq.records import BenchRecord, Gguf

# The first configuration is measured again after this many others.
_EVERY = 4
# More than this between two anchors, and what lies between is measured again.
_LIMIT = 0.05

Updates = Callable[[Gguf], Update]


def series(bench: Bench, models: Sequence[Gguf], updates: Updates) -> list[BenchRecord]:
    """Measure every model once; in a series of more than two, the first one again after every fourth.

    Where the first one's speed has moved by more than 5 %, and significantly, since it was last measured, what lies
    between is discarded and measured again, once. All records are returned, those of the anchors with their turn.
    """
    first, *others = models
    anchor = bench.measure(first, 0, updates(first))
    records = [anchor]
    if len(others) < 2:
        return records + [bench.measure(m, 0, updates(m)) for m in others]
    turn = 0
    for start in range(0, len(others), _EVERY):
        segment = others[start : start + _EVERY]
        measured = []
        turn += 1
        again = bench.done(first, turn)
        if again is None or not drifted(anchor, again):
            measured = [bench.measure(m, 0, updates(m)) for m in segment]
            again = _after(bench, first, turn, measured, updates)
        records.append(again)
        if drifted(anchor, again):
            turn += 1
            for m in segment:
                if (old := bench.done(m)) and old.begun_ns < again.begun_ns:
                    bench.path(m)[0].unlink()
            measured = [bench.measure(m, 0, updates(m)) for m in segment]
            again = _after(bench, first, turn, measured, updates)
            records.append(again)
        records += measured
        anchor = again
    return records


def _after(bench: Bench, first: Gguf, turn: int, measured: Sequence[BenchRecord], updates: Updates) -> BenchRecord:
    """The anchor that closes a segment; one from before files were added to it is measured again."""
    found = bench.done(first, turn)
    if found and found.begun_ns < max(m.begun_ns for m in measured):
        bench.path(first, turn)[0].unlink()
    return bench.measure(first, turn, updates(first))


def n_measurements(n_models: int) -> int:
    """How many measurements a series takes, anchors included, where none has to be repeated."""
    n_others = n_models - 1
    return n_models + (-(-n_others // _EVERY) if n_others > 1 else 0)


def updates(update: Callable[[float, str, str], None], total: int) -> Updates:
    """One bar for ``total`` measurements."""
    begun = itertools.count()

    def of(model: Gguf) -> Update:
        done, name = next(begun), Path(model.path).stem
        return lambda share, text: update(min(1.0, (done + share) / total), name, text)

    return of


def interleave(bench: Bench, a: Gguf, b: Gguf, n_blocks: int, updates: Updates) -> list[BenchRecord]:
    """A B B A, ``n_blocks`` times: a steady drift of the machine touches both alike."""
    records, turns = [], {a.sha256: 0, b.sha256: 0}
    for model in (a, b, b, a) * n_blocks:
        records.append(bench.measure(model, turns[model.sha256], updates(model)))
        turns[model.sha256] += 1
    return records


def drifted(before: BenchRecord, after: BenchRecord) -> bool:
    """Whether any test's rate has changed by more than 5 %, and by more than its repetitions explain."""
    return any(
        stats.changed(stats.timed_s(before, test.name), stats.timed_s(after, test.name), _LIMIT)
        for test in before.settings.tests
    )
