"""The nouns: frozen records that the rooms hand over, and nothing else.

Units are in the names (``_s _ns _j _w _bytes _tps``). ``None`` means *not measured* and is printed as ``-``.
Arrays of many values are kept as little-endian bytes (``_f32``, ``_u8``, ``_i64``), which JSON carries as base64.
"""

from __future__ import annotations

from edgeq.records.base import SCHEMA, Note, Record, Stored
from edgeq.records.decide import (
    Comparison,
    Cost,
    Energy,
    Estimate,
    Fit,
    Memory,
    Quality,
    Row,
    Speed,
    Summary,
    Tariff,
    Throttling,
)
from edgeq.records.device import Core, Gpu, Host, MainMemory, Match, PowerMode, Price, Profile, Thermal
from edgeq.records.measure import (
    BenchRecord,
    BenchSettings,
    BenchTest,
    Buffer,
    Build,
    Bundle,
    EvalRecord,
    EvalSettings,
    Phase,
    SelfTest,
)
from edgeq.records.plan import Plan, Run
from edgeq.records.prepare import Corpus, Gguf, Imatrix, Recipe, Source
from edgeq.records.sensing import Channel, Meter, PmicModel, Sampling, Scope, Trace

__all__ = [
    "SCHEMA",
    "BenchRecord",
    "BenchSettings",
    "BenchTest",
    "Buffer",
    "Build",
    "Bundle",
    "Channel",
    "Comparison",
    "Core",
    "Corpus",
    "Cost",
    "Energy",
    "Estimate",
    "EvalRecord",
    "EvalSettings",
    "Fit",
    "Gguf",
    "Gpu",
    "Host",
    "Imatrix",
    "MainMemory",
    "Match",
    "Memory",
    "Meter",
    "Note",
    "Phase",
    "Plan",
    "PmicModel",
    "PowerMode",
    "Price",
    "Profile",
    "Quality",
    "Recipe",
    "Record",
    "Row",
    "Run",
    "Sampling",
    "Scope",
    "SelfTest",
    "Source",
    "Speed",
    "Stored",
    "Summary",
    "Tariff",
    "Thermal",
    "Throttling",
    "Trace",
]
