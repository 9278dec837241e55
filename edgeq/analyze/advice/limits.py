"""The limits that were set, and whether a file keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from edgeq.analyze.advice.candidates import Candidate
from edgeq.analyze.advice.metrics import ENERGY, KLD, RAM, SIZE, TOP1, TPS, Metric
from edgeq.analyze.fronts import Z
from edgeq.records.advice import Check, Wanted

BOARD_MEMORY = "the board's memory"


class Limit(NamedTuple):
    """``bound`` in the metric's unit; below it is good where less is better."""

    option: str
    metric: Metric
    bound: float


def limits(wanted: Wanted) -> tuple[Limit, ...]:
    """The limits that were asked for, and the board's memory where no other limit of the RAM was."""
    asked = [
        ("--max-ram", RAM, wanted.max_ram_bytes),
        ("--min-tps", TPS, wanted.min_tps),
        ("--max-j-per-token", ENERGY, wanted.max_j_per_token),
        ("--min-top1", TOP1, wanted.min_top1),
        ("--max-kld", KLD, wanted.max_kld),
    ]
    found = [Limit(option, metric, float(bound)) for option, metric, bound in asked if bound is not None]
    if wanted.max_ram_bytes is None and wanted.board and wanted.board.usable_bytes is not None:
        found.insert(0, Limit(BOARD_MEMORY, RAM, float(wanted.board.usable_bytes)))
    return tuple(found)


def check(candidate: Candidate, limit: Limit) -> Check:
    """Whether one file keeps one limit. What was not measured keeps none, with one exception.

    Of a file from another machine no RAM peak is known; the board's memory, which nobody asked for, then only rules out
    files that are larger than it.
    """
    carried = limit.option == BOARD_MEMORY and candidate.choice.measured_on
    metric = SIZE if carried else limit.metric
    found = metric.of(candidate.figures)
    if found is None:
        return Check(limit.option, metric.name, limit.bound, None, ok=False, miss=None)
    ok = found.value <= limit.bound if metric.lower else found.value >= limit.bound
    gap = abs(found.value - limit.bound)
    return Check(
        option=limit.option,
        metric=metric.name,
        limit=limit.bound,
        value=found.value,
        ok=ok,
        miss=0.0 if ok else gap / limit.bound if limit.bound else gap,
        close=found.se is None or (found.se > 0 and gap <= Z * found.se),
    )


def keeps(candidate: Candidate, kept: Sequence[Limit]) -> bool:
    """Whether a file keeps all of these limits."""
    return all(check(candidate, limit).ok for limit in kept)
