"""Rates and latencies of each test."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from edgeq import stats
from edgeq.records import BenchRecord, Estimate, Phase, Speed


def speeds(record: BenchRecord) -> tuple[Speed, ...]:
    """One result per test. TTFT: from the prompt's start to its last token's logits; TPOT: single decode steps."""
    return tuple(
        _speed(test.name, timed, stats.timed_s(record, test.name))
        for test in record.settings.tests
        if (timed := stats.timed(record, test.name))
    )


def _speed(name: str, timed: Sequence[Phase], times: stats.F64) -> Speed:
    found = stats.repetitions(timed[0].n_tokens, times)
    speed = Speed(name, len(timed), found.tps, ci95_tps=found.ci95_tps, state=found.state)
    if timed[0].kind == "prefill":
        return msgspec.structs.replace(
            speed, ttft_s=Estimate(float(times.mean())) if found.state else stats.mean(times)
        )
    steps = np.concatenate([np.diff((0, *(p.token_ns or ()))) for p in timed]) / 1e9
    if not len(steps):
        return speed
    p50, p95, p99 = (float(np.quantile(steps, q)) for q in (0.5, 0.95, 0.99))
    return msgspec.structs.replace(speed, tpot_p50_s=p50, tpot_p95_s=p95, tpot_p99_s=p99)
