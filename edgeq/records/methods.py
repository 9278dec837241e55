"""The twelve methods: what is run to show each, the raw facts of tasks and of generation, and the table."""

from __future__ import annotations

from typing import Literal

import msgspec

from edgeq.records.base import Note, Record
from edgeq.records.decide import Energy, Estimate, Quality, Speed
from edgeq.records.device import Host
from edgeq.records.measure import Activations, BenchSettings, Build, EvalSettings
from edgeq.records.prepare import Gguf, Recipe


class Arm(Record, frozen=True):
    """One way to show a method: the file that a recipe makes (none: the source itself), and how it is run.

    ``numerics``: exact where stock llama.cpp computes just this, simulated where values are overwritten on the way.
    A figure that is not valid for a method (the size of a container, the speed of dequantized weights) is never shown;
    energy goes with the speed. ``control``: an arm that other arms are held against, and no form of the method itself.
    """

    method: str
    name: str
    recipe: Recipe | None
    activations: Activations | None = None
    numerics: Literal["exact", "simulated"] = "exact"
    size_valid: bool = True
    speed_valid: bool = True
    control: bool = False


class Item(Record, frozen=True):
    """One question of a task. ``answers``: the right one first, then, of a choice, the wrong ones.

    An answer follows the prompt directly and begins with the space or line break that belongs to it. All prompts of one
    task and level begin with the same examples. ``place``: what results can be grouped by (a depth), or nothing.
    """

    prompt: str
    answers: tuple[str, ...]
    place: str = ""


class TaskRecord(Record, frozen=True):
    """Raw facts of one model on one task: per item what it gave to the right answer and to the others.

    ``correct_u8``: 1 where every token of the answer is the most likely one (exact match in greedy decoding), or, of a
    choice, where the right one has the highest -nll per token. ``nll_f32``: -ln p of the right answer's tokens, summed;
    ``n_tokens_u16`` how many those are, ``n_top_u16`` how many of them are the most likely ones. ``places``: a word on
    each item that results can be grouped by (a depth), or none.
    """

    model: Gguf
    build: Build
    host: Host
    activations: Activations | None
    task: str
    level: int
    seed: int
    chance: float
    items_sha256: str
    n_items: int
    correct_u8: bytes
    nll_f32: bytes
    n_tokens_u16: bytes
    n_top_u16: bytes
    places: tuple[str, ...] = ()


class GenerationRecord(Record, frozen=True):
    """Greedy continuations of ``n_prompts`` prompts, ``n_tokens`` ids each, made ``n_repeats`` times.

    ``ids_i32``: of the first time. ``n_equal``: times whose ids are all the same as those of the first.
    """

    model: Gguf
    build: Build
    host: Host
    prompts_sha256: str
    n_prompts: int
    n_tokens: int
    n_repeats: int
    n_equal: int
    ids_i32: bytes


class Figure(Record, frozen=True):
    """An estimate with its 95 % interval (``None`` where none can be given)."""

    estimate: Estimate
    ci95: tuple[float, float] | None = None


class TaskResult(Record, frozen=True):
    """One task against the reference on the same items. Shares of 1; ``flips``: items whose result changed.

    ``difference``: the arm's accuracy less the reference's, paired by item. ``p``: exact McNemar; ``p_holm``: corrected
    for the number of arms in the table. ``nll_difference``: the arm's -ln p per token of the right answers less the
    reference's, in nats, paired by item. ``token_accuracy``: share of the answers' tokens that are the most likely
    ones. ``by_place``: accuracy at each depth.
    """

    task: str
    level: int
    group: str
    n_items: int
    chance: float
    accuracy: Estimate
    reference: Estimate
    difference: Figure
    p: float
    p_holm: float
    flips: float
    token_accuracy: float
    nll_difference: Estimate
    by_place: dict[str, Estimate] = msgspec.field(default_factory=dict)


class GroupResult(Record, frozen=True):
    """All items of a group's tasks together, those left out that the reference itself can't do.

    Shares of 1. ``difference``: the arm's accuracy less the reference's. ``kept``: of the reference's lead over chance.
    """

    tasks: tuple[str, ...]
    n_items: int
    reference: float
    difference: Figure
    kept: Figure


class Stability(Record, frozen=True):
    """How steadily a model generates. ``same_prefix``: share of prompts whose first N tokens are the reference's.

    ``first_divergence``: tokens up to the first that differs, the median over prompts; None where half or more never
    differ, or there is nothing to hold it against (then ``same_prefix`` is empty). ``deterministic``: the same every
    time; None where it was made once. ``loops``: share of continuations that end in a loop; ``distinct3``: distinct
    3-grams of a continuation over all of its 3-grams, the mean.
    """

    deterministic: bool | None
    n_prompts: int
    n_tokens: int
    first_divergence: float | None
    same_prefix: dict[str, float]
    loops: float
    distinct3: float


class MethodRow(Record, frozen=True):
    """One arm with everything that was measured of it. ``skipped`` says why there is nothing.

    ``quality``: by the name of the text, errors over chunks of text. ``late_kld_ratio``: KLD in the last quarter of a
    long context over that in the first. ``bpw``: of the file. ``weight_bpw``: of the quantized matrices, each scale
    counted once where the file repeats it, an adapter included. ``size_reduction``, ``rss_reduction``: shares of the
    reference's; ``speedups``: t/s over the reference's, by test. ``groups``: by the name of a group of tasks.
    ``seconds``: what making and scoring it took here.
    """

    arm: Arm
    number: int
    title: str
    skipped: str = ""
    sha256: str = ""
    n_bytes: int | None = None
    bpw: float | None = None
    weight_bpw: float | None = None
    size_reduction: float | None = None
    rss_reduction: float | None = None
    rss_peak_bytes: int | None = None
    quality: dict[str, Quality] = msgspec.field(default_factory=dict)
    late_kld_ratio: Figure | None = None
    tasks: tuple[TaskResult, ...] = ()
    groups: dict[str, GroupResult] = msgspec.field(default_factory=dict)
    stability: Stability | None = None
    speeds: tuple[Speed, ...] = ()
    speedups: dict[str, Figure] = msgspec.field(default_factory=dict)
    energies: tuple[Energy, ...] = ()
    seconds: float | None = None


class Claim(Record, frozen=True):
    """A claim and what became of it here. ``aspect``: which side of it this is.

    ``figure``: what was measured, a share of 1 where ``unit`` is %, a ratio where it is ×. ``basis``: which arms, and
    over what. ``reason``: why nothing could be said, or what to bear in mind.
    """

    text: str
    aspect: str
    verdict: Literal["supported", "not supported", "not measurable here"]
    figure: Figure | None = None
    unit: Literal["%", "×"] = "%"
    basis: str = ""
    reason: str = ""


class MethodsTable(Record, frozen=True):
    """All arms of all methods on one model and one machine, the shipping types beside them, and the claims.

    ``texts``: names of what was scored, and ``n_tokens`` how much of each; ``calibration``: names of the texts that
    calibration saw another part of. ``floor``: the reference against itself. ``groups``: of each task.
    """

    model: Gguf
    host: Host
    llama_commit: str
    backend: str
    texts: tuple[str, ...]
    n_tokens: dict[str, int]
    calibration: tuple[str, ...]
    groups: dict[str, str]
    eval_settings: EvalSettings | None
    bench_settings: BenchSettings | None
    floor: dict[str, Quality]
    reference: MethodRow
    rows: tuple[MethodRow, ...]
    shipping: tuple[MethodRow, ...]
    claims: tuple[Claim, ...]
    warnings: tuple[Note, ...] = ()
