"""The metrics that files are judged by: where each is found, which way is better, and what would measure it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from edgeq.analyze.fronts import apart
from edgeq.records import Estimate
from edgeq.records.advice import Difference, Figures, Goal


class Metric(NamedTuple):
    """``lower``: less is better. ``measure``: what to do where it is not known."""

    name: str
    axis: str
    lower: bool
    of: Callable[[Figures], Estimate | None]
    measure: str


def _exact(value: int | None) -> Estimate | None:
    """What is counted and not sampled: sizes, and the peak of one process."""
    return None if value is None else Estimate(float(value), 0.0)


KLD = Metric("KLD", "quality", True, lambda f: f.kld, "`edgeq evaluate` measures it against the reference.")
TOP1 = Metric("top-1", "quality", False, lambda f: f.top1, KLD.measure)
RAM = Metric("RAM peak", "memory", True, lambda f: _exact(f.rss_peak_bytes), "`edgeq bench` on the board measures it.")
TPS = Metric("t/s", "speed", False, lambda f: f.tps, "`edgeq bench` with this test measures it.")
ENERGY = Metric(
    "J/token",
    "energy",
    True,
    lambda f: f.j_per_token,
    "`edgeq bench` measures it where there is a power sensor; `edgeq doctor` says what is there.",
)
COST = Metric(
    "cost",
    "money",
    True,
    lambda f: f.cost_per_mtok,
    "It needs the energy, --kwh, and --efficiency where no meter was at the wall.",
)
SIZE = Metric("file size", "size", True, lambda f: _exact(f.n_bytes), "")

AXES = (KLD, RAM, TPS, ENERGY, COST)
GOALS: Mapping[Goal | None, Metric] = {None: KLD, "quality": KLD, "speed": TPS, "energy": ENERGY, "cost": COST}


def difference(metric: Metric, pick: Figures, other: Figures) -> Difference | None:
    """The other file beside the pick; None where one of them has no figure."""
    a, b = metric.of(pick), metric.of(other)
    if a is None or b is None:
        return None
    better = b.value < a.value if metric.lower else b.value > a.value
    return Difference(metric.name, a.value, b.value, better, apart(a, b))
