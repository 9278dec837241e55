"""Which of several files wins: by a goal, or as good as about 4 bits per parameter can be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from edgeq.analyze.advice.candidates import Candidate
from edgeq.analyze.advice.metrics import GOALS, Metric
from edgeq.analyze.fronts import unbeaten
from edgeq.records import Estimate
from edgeq.records.advice import Goal

# Where to start without a goal. llama.cpp, tools/quantize/README.md, Llama 3.1 8B: the "4-bit" files take 4.46 (IQ4_XS)
# to 4.89 bits per parameter (Q4_K_M), the smallest "5-bit" one 5.57. At 4 bits accuracy is 99 % of that of BF16
# (AutoRound, gguf_alg_ext_acc.md), at 2 bits 88 to 95 %.
START_BPW = 5.0


class Decision(NamedTuple):
    """The winner. ``alike``: others that nothing tells apart from the best; ``unsteady``: those without an interval."""

    winner: Candidate
    alike: tuple[Candidate, ...]
    unsteady: tuple[Candidate, ...]


def decide(allowed: Sequence[Candidate], goal: Goal | None) -> Decision | None:
    """The winner among files that keep the limits, None where the goal's metric is known of none of them."""
    metric = GOALS[goal]
    known = [(c, value) for c in allowed if (value := metric.of(c.figures)) is not None]
    return choose(known if goal else _near_the_start(known), metric)


def choose(known: Sequence[tuple[Candidate, Estimate]], metric: Metric) -> Decision | None:
    """The smallest of those that no other beats by more than the errors; then the one of less energy.

    Figures without an error take part only where there are no others, and then by their value alone.
    """
    steady = [(c, value) for c, value in known if value.se is not None]
    pool = steady or list(known)
    if not pool:
        return None
    sign = 1.0 if metric.lower else -1.0
    values = np.array([[sign * value.value] for _, value in pool])
    errors = np.array([[value.se or 0.0] for _, value in pool])
    best = sorted((c for (c, _), kept in zip(pool, unbeaten(values, errors), strict=True) if kept), key=_order)
    unsteady = sorted((c for c, value in known if value.se is None), key=_order) if steady else []
    return Decision(best[0], tuple(best[1:]), tuple(unsteady))


def _near_the_start(known: Sequence[tuple[Candidate, Estimate]]) -> list[tuple[Candidate, Estimate]]:
    """Those of at most about 4 bits; where the limits leave none, the next above."""
    low = [(c, value) for c, value in known if c.row.bpw <= START_BPW]
    if low:
        return low
    least = min((c.row.bpw for c, _ in known), default=0.0)
    return [(c, value) for c, value in known if c.row.bpw == least]


def _order(candidate: Candidate) -> tuple[object, ...]:
    return candidate.order
