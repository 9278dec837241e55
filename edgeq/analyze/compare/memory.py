"""Peak of the resident memory on both sides."""

from __future__ import annotations

import math
from collections.abc import Sequence

from edgeq.analyze.compare.configurations import Configuration, Measured
from edgeq.analyze.compare.runs import Pair, Subject, elsewhere, from_runs
from edgeq.records.compare import Change
from edgeq.stats.runs import Run


def memory_changes(pair: Pair) -> tuple[Change, ...]:
    """The process's high-water mark over all tests, in bytes, where both sides ran the same tests."""
    subject = Subject("ram", "bytes")
    a, b = (_peaks(side) for side in (pair.a, pair.b))
    if not a or not b:
        return ()
    values = math.exp(sum(a) / len(a)), math.exp(sum(b) / len(b))
    reason = pair.mixed or ("" if set(pair.a.tests) == set(pair.b.tests) else "the two sides ran different tests")
    if reason:
        return (subject.not_comparable(*values, reason),)
    logs = [[Run(log, 0.0) for log in side] for side in (a, b)]
    return (from_runs(subject, logs[0], logs[1], values, elsewhere(pair, _run)),)


def _peaks(side: Configuration) -> Sequence[float]:
    return [run.log for m in side.runs if (run := _run(m))]


def _run(measured: Measured) -> Run | None:
    peak = measured.record.rss_peak_bytes
    return Run(math.log(peak), 0.0) if peak else None
