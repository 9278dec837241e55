"""What it costs to give each tensor fewer bits, and the files that follow from it."""

from __future__ import annotations

from typing import Literal

import msgspec

from edgeq.records.base import Note, Record
from edgeq.records.decide import Quality
from edgeq.records.device import Host
from edgeq.records.measure import Build, EvalSettings
from edgeq.records.methods import Figure
from edgeq.records.prepare import Corpus, Gguf, Recipe

ProbeBy = Literal["tensor", "segment"]


class Trial(Record, frozen=True):
    """The model with some tensors in other types: mean KLD of each chunk, in nats, against the model as it is."""

    types: dict[str, str]
    kld: tuple[float, ...]

    @property
    def mean_kld(self) -> float:
        """Over all chunks."""
        return sum(self.kld) / len(self.kld)


class Sensitivities(Record, frozen=True):
    """What was measured of a model, from which any number of allocations follow.

    ``errors``: relative error of each tensor in each type, Σ E[x²](ŵ - w)² / Σ E[x²]w² over sampled rows. ``folded``:
    the same after folding activation-aware scales. ``probes``: one tensor or one segment in a low type; an embedding
    in every type. ``whole``: a third of the blocks in one type. ``floor``: KLD of the model against itself.
    """

    model: Gguf
    imatrix_sha256: str | None
    build: Build
    corpus: tuple[Corpus, ...]
    tokens_sha256: str
    n_ctx: int
    n_tokens: int
    probe_by: ProbeBy
    types: tuple[str, ...]
    errors: dict[str, dict[str, float]]
    folded: dict[str, dict[str, float]] | None
    probes: tuple[Trial, ...]
    whole: tuple[Trial, ...]
    floor: float
    seconds: float


class Guard(Record, frozen=True):
    """A type that a tensor was not allowed to go below, and why."""

    tensor: str
    type: str
    reason: str


class Segment(Record, frozen=True):
    """Tensors of one kind at one depth (0 first block, 5 last): how many have which type, their bytes and damage."""

    group: str
    depth: int
    types: dict[str, int]
    n_bytes: int
    damage: float


class Allocation(Record, frozen=True):
    """Which type each tensor gets for one budget. ``predicted_kld``: as if damages added up; a forecast, no result.

    ``decode_s``, ``decode_j``: what the weights of one token take, where speeds of the types were measured.
    """

    target: str
    max_bytes: int
    recipe: Recipe
    n_bytes: int
    bpw: float
    types: dict[str, str]
    damage: dict[str, float]
    predicted_kld: float
    guards: tuple[Guard, ...]
    segments: tuple[Segment, ...]
    decode_s: float | None = None
    decode_j: float | None = None


class FrontPlan(Record, frozen=True):
    """Everything that one search for files was asked to do, with the same keys as the options of the command.

    ``types``: file types to measure beside the mixes, empty for those that are nearest in size. ``candidates``: what a
    tensor may be given. Without texts those that come with edgeq are taken. ``refine``: make each mix a second time,
    refined by ``statistics`` or, without, by those of the calibration texts.
    """

    model: str
    target_bpw: tuple[float, ...] = ()
    target_size: tuple[str, ...] = ()
    fit: str | None = None
    ctx: int = 4096
    text: tuple[str, ...] = ()
    calibration_text: tuple[str, ...] = ()
    imatrix: str | None = None
    types: tuple[str, ...] = ()
    candidates: tuple[str, ...] = ("K", "I")
    probe: ProbeBy | None = None
    fold: bool = False
    refine: bool = False
    statistics: str | None = None
    chunks: int = 16
    calibration_chunks: int = 64
    n_threads: int = 0
    memory_share: float = 0.7
    speeds: str | None = None
    decode_tps: float | None = None


Verdict = Literal["better", "no better", "worse", "no stock"]


class FrontRow(Record, frozen=True):
    """One file. ``quality`` and ``against`` by the name of the text.

    ``against``: KLD over that of ``rivals``, the best file type of llama.cpp's own that is no larger, on each text.
    """

    name: str
    kind: Literal["mix", "stock"]
    sha256: str
    n_bytes: int
    bpw: float
    folded: bool = False
    refined: bool = False
    target: str | None = None
    predicted_kld: float | None = None
    quality: dict[str, Quality] = msgspec.field(default_factory=dict)
    rivals: dict[str, str] = msgspec.field(default_factory=dict)
    against: dict[str, Figure] = msgspec.field(default_factory=dict)
    verdict: Verdict | None = None


class Front(Record, frozen=True):
    """Files of least damage for their sizes, the stock types beside them, and what they were chosen from.

    ``best``: for each target the name of the file to take: a stock type where no mix is better.
    """

    model: Gguf
    host: Host
    llama_commit: str
    settings: EvalSettings
    n_tokens: dict[str, int]
    probed: dict[str, str | int | float]
    rows: tuple[FrontRow, ...]
    allocations: tuple[Allocation, ...]
    best: dict[str, str]
    warnings: tuple[Note, ...] = ()
