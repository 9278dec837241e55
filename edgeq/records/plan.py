"""What was asked for."""

from __future__ import annotations

from typing import Literal

from edgeq.records.base import Record
from edgeq.records.device import Host


class Plan(Record, frozen=True):
    """Everything that one run was asked to do. A plan file has the same keys as the options of ``edgeq run``."""

    model: str
    types: tuple[str, ...] = ()
    recipes: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    calibration_text: tuple[str, ...] = ()
    imatrix: bool = True
    profile: str = "local"
    tests: tuple[str, ...] = ("pp512", "tg128")
    n_reps: int = 10
    n_threads: int = 0
    n_ctx: int = 512
    n_chunks: int = 32
    calibration_chunks: int = 64
    memory_share: float = 0.7
    outtype: Literal["auto", "f16", "bf16"] = "auto"
    allow_requantize: bool = False
    trust_remote_code: bool = False


class Run(Record, frozen=True):
    """The head of a run folder: what was asked, by which version, where."""

    plan: Plan
    edgeq: str
    host: Host
