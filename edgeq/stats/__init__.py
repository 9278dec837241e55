"""Statistics, pure: arrays and records in, estimates out."""

from __future__ import annotations

from edgeq.stats.align import align, shifted
from edgeq.stats.character import character
from edgeq.stats.cost import cost
from edgeq.stats.energy import integrate, total
from edgeq.stats.estimates import (
    F64,
    mean,
    perplexity,
    perplexity_ratio,
    quantile,
    rate,
    root_mean_square,
    share,
)
from edgeq.stats.needs import window_needed_s
from edgeq.stats.phases import PhaseEnergy, phase_energy
from edgeq.stats.rates import changed, timed, timed_s
from edgeq.stats.ratio import Ratio, interleaved_ratio
from edgeq.stats.repetitions import repetitions
from edgeq.stats.samples import known, samples
from edgeq.stats.sources import WIDTH, Source, beside, sources
from edgeq.stats.throttling import verdict
from edgeq.stats.traces import Window

__all__ = [
    "F64",
    "WIDTH",
    "PhaseEnergy",
    "Ratio",
    "Source",
    "Window",
    "align",
    "beside",
    "changed",
    "character",
    "cost",
    "integrate",
    "interleaved_ratio",
    "known",
    "mean",
    "perplexity",
    "perplexity_ratio",
    "phase_energy",
    "quantile",
    "rate",
    "repetitions",
    "root_mean_square",
    "samples",
    "share",
    "shifted",
    "sources",
    "timed",
    "timed_s",
    "total",
    "verdict",
    "window_needed_s",
]
