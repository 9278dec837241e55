"""What each weight type costs on a device: the raw facts, and the table that follows from them."""

from __future__ import annotations

from typing import Literal

import msgspec

from edgeq.records.base import Note, Record
from edgeq.records.decide import Estimate
from edgeq.records.device import Host, Profile
from edgeq.records.measure import Build, Phase
from edgeq.records.sensing import Sampling, Trace


class TypesSettings(Record, frozen=True):
    """How weight types are measured: one vector times matrices of ``n_rows`` x ``n_columns``, as in decoding.

    The matrices of a type take ``total_mib`` together. In each of ``n_rounds`` rounds every type has one turn, of
    ``n_reps`` passes over its matrices, or more until all its passes together last ``min_window_s``. ``idle_s`` and
    ``sync_s`` as in BenchSettings.
    """

    types: tuple[str, ...]
    device: Literal["cpu", "gpu"]
    n_threads: int
    n_rows: int = 8192
    n_columns: int = 2048
    total_mib: int = 256
    n_rounds: int = 5
    n_reps: int = 2
    idle_s: float = 0.0
    min_window_s: float = 0.0
    sync_s: float = 0.0

    @property
    def inputs(self) -> TypesSettings:
        """What decides the result: without the times that follow from the sensors, and what memory was free."""
        return msgspec.structs.replace(self, idle_s=0.0, min_window_s=0.0, sync_s=0.0, total_mib=0)


class WeightType(Record, frozen=True):
    """Matrices of one type as they were measured. ``memory``: ggml's buffer type, CPU_REPACK for rearranged weights.

    ``error``: the largest of any product's row, in standard deviations of what rounding the vector to 8 bits brings.
    """

    name: str
    memory: str
    n_matrices: int
    row_bytes: int
    error: float


class TypesRecord(Record, frozen=True):
    """Raw facts of one measurement of weight types.

    A phase's ``test`` is the type; "load" begins its turn, and each "decode" is one pass over its matrices, as one
    token. ``left_out``: types that this device can't multiply with, or not rightly.
    """

    build: Build
    profile: Profile
    host: Host
    settings: TypesSettings
    types: tuple[WeightType, ...]
    left_out: tuple[Note, ...]
    phases: tuple[Phase, ...]
    traces: tuple[Trace, ...]
    missing: tuple[Note, ...] = ()
    sampling: tuple[Sampling, ...] = ()
    sampler_cpu_s: float | None = None


class TypeSpeed(Record, frozen=True):
    """What decoding costs per weight of one type. ``gb_s``: 10⁹ bytes of weights read per second.

    ``of_q8_0``: weights per second over those of Q8_0. ``j_per_gweight``: all energy used, per 10⁹ weights. ``state``:
    as in Speed, over the rounds.
    """

    bpw: float
    weights_per_s: Estimate
    gb_s: float
    memory: str
    of_q8_0: float | None = None
    j_per_gweight: Estimate | None = None
    state: tuple[str, ...] = ()


class TypeSpeeds(Record, frozen=True):
    """The types that a device can decode with, the fastest first. ``scope``: of the energy, "" without any."""

    profile: str
    processor: str
    device: Literal["cpu", "gpu"]
    n_threads: int
    types: dict[str, TypeSpeed]
    scope: str = ""
    notes: tuple[Note, ...] = ()
