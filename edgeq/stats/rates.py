"""How long the repetitions of a test took, and whether two measurements of it differ."""

from __future__ import annotations

import numpy as np
from scipy.stats import ttest_ind

from edgeq.records import BenchRecord, Phase, TypesRecord
from edgeq.stats.estimates import F64

_SIGNIFICANT = 0.05
_MIN_REPS = 3


def timed(record: BenchRecord | TypesRecord, test: str) -> list[Phase]:
    """The timed repetitions of a test, in order."""
    return [p for p in record.phases if p.test == test and p.timed]


def timed_s(record: BenchRecord, test: str) -> F64:
    """Seconds that each repetition took."""
    return np.array([(p.t1_ns - p.t0_ns) / 1e9 for p in timed(record, test)])


def changed(before_s: F64, after_s: F64, limit: float) -> bool:
    """Whether the mean log time has moved by more than log(1 + limit), and significantly (Welch's t-test, 5 %).

    Fewer than three repetitions on either side tell nothing.
    """
    before, after = np.log(before_s), np.log(after_s)
    if min(len(before), len(after)) < _MIN_REPS or abs(after.mean() - before.mean()) <= np.log1p(limit):
        return False
    if before.std() == 0 and after.std() == 0:
        return True
    return bool(ttest_ind(before, after, equal_var=False).pvalue < _SIGNIFICANT)
