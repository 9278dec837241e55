"""What was asked for."""

from __future__ import annotations

from typing import Literal

from edgeq.records.base import Record
from edgeq.records.device import Host


class Plan(Record, frozen=True):
    """Everything that one run was asked to do. A plan file has the same keys as the options of ``edgeq run``.

    ``refine``: make each file a second time, refined by ``statistics`` or, without, by those of the calibration texts.
    """

    model: str
    types: tuple[str, ...] = ()
    recipes: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    calibration_text: tuple[str, ...] = ()
    imatrix: bool = True
    refine: bool = False
    statistics: str | None = None
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


Measured = Literal["fidelity", "long", "tasks", "generation", "bench"]


class MethodsPlan(Record, frozen=True):
    """Everything that one comparison of methods was asked to do, with the same keys as the options of the command.

    ``calibration_text``: its first half is what importance matrix, activation ranges and training see, its second half
    is scored as text of the same domain; ``text`` is of others. ``methods``: empty for all. ``types``: shipping file
    types for the second table. ``qat``: published QAT files to take as arms. ``choices``: files of questions.
    """

    model: str
    calibration_text: tuple[str, ...]
    text: tuple[str, ...]
    methods: tuple[str, ...] = ()
    types: tuple[str, ...] = ("Q8_0", "Q5_K_M", "Q4_K_M", "Q4_0", "IQ4_XS", "Q3_K_M", "Q2_K", "IQ3_XXS", "IQ2_M")
    measure: tuple[Measured, ...] = ("fidelity", "long", "tasks", "generation", "bench")
    qat: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    profile: str = "local"
    tests: tuple[str, ...] = ("pp512", "tg128")
    n_reps: int = 5
    n_threads: int = 0
    n_ctx: int = 512
    n_chunks: int = 8
    calibration_chunks: int = 64
    long_ctx: int = 2048
    n_items: int = 50
    seed: int = 1
    memory_share: float = 0.7
    regrid: bool = False
    pad_rows: int | None = None
    allow_requantize: bool = False


class MethodsRun(Record, frozen=True):
    """The head of the folder of a comparison of methods: what was asked, by which version, where."""

    plan: MethodsPlan
    edgeq: str
    host: Host
