"""Room: speed, memory and energy of models, as raw facts: phases, per-token times, traces, buffer sizes."""

from __future__ import annotations

from edgeq.bench.one import Bench
from edgeq.bench.series import interleave, n_measurements, series, updates
from edgeq.bench.settings import parse_test, settings
from edgeq.bench.types import TYPES, TypesBench, types_settings

__all__ = [
    "TYPES",
    "Bench",
    "TypesBench",
    "interleave",
    "n_measurements",
    "parse_test",
    "series",
    "settings",
    "types_settings",
    "updates",
]
