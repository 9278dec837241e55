"""What is derived from raw facts and can always be computed again."""

from __future__ import annotations

from typing import Literal

import msgspec

from edgeq.records.base import Note, Record
from edgeq.records.device import Host
from edgeq.records.measure import BenchSettings, EvalSettings
from edgeq.records.prepare import Corpus, Gguf


class Estimate(Record, frozen=True):
    """A value with its standard error (``None`` where none can be given)."""

    value: float
    se: float | None = None


class Quality(Record, frozen=True):
    """What one model loses against the reference. KLD in nats, Δp and agreement as shares of 1."""

    n_tokens: int
    ppl: Estimate
    ppl_ratio: Estimate | None = None
    kld: Estimate | None = None
    kld_median: Estimate | None = None
    kld_p99: Estimate | None = None
    kld_p999: Estimate | None = None
    kld_max: float | None = None
    top1: Estimate | None = None
    rms_dp: Estimate | None = None


class Speed(Record, frozen=True):
    """One test's result. ``tps`` is total tokens over total time; percentiles are of single decode steps.

    ``ci95_tps``: 95 % t-interval on the log rate. ``state``: what was found wrong with the repetitions (drifting,
    bimodal, outliers, first repetition off, autocorrelated); where it is not empty there is neither error nor interval.
    """

    test: str
    n_reps: int
    tps: Estimate
    ttft_s: Estimate | None = None
    tpot_p50_s: float | None = None
    tpot_p95_s: float | None = None
    tpot_p99_s: float | None = None
    ci95_tps: tuple[float, float] | None = None
    state: tuple[str, ...] = ()


class Energy(Record, frozen=True):
    """What one test cost in energy, seen at one scope. Errors are standard uncertainties, the meter's included.

    ``scope`` is a channel's scope, or ``package + gpu`` where both were added. ``headline``: the widest scope that
    was measured. ``gross``: everything that the scope used; ``net``: less what it uses when idle, never clipped at 0.
    ``limits_known``: the errors include those of the meter itself, whose limits are stated.
    ``missing`` says why there is no figure.
    """

    test: str
    scope: str
    source: str
    estimated: bool
    headline: bool
    n_tokens: int
    window_s: float
    gross_j_per_token: Estimate | None = None
    net_j_per_token: Estimate | None = None
    mean_w: Estimate | None = None
    max_w: float | None = None
    idle_w: Estimate | None = None
    loaded_idle_w: Estimate | None = None
    missing: str = ""
    limits_known: bool = True


class Cost(Record, frozen=True):
    """Money per million tokens of one test: energy at the wall, and the hardware's share as a separate line.

    In the currency of the tariff. ``estimated`` where the energy was not measured at the wall; ``basis`` says how.
    """

    test: str
    energy_per_mtok: Estimate | None
    hardware_per_mtok: float | None
    estimated: bool
    basis: str


class Comparison(Record, frozen=True):
    """Two files measured in turns (A B B A): the second one's figure over the first one's, with its 95 % interval.

    What the machine did slowly, and the gain of its meter, touch both alike and cancel. ``scope``: of the energy.
    """

    quantity: Literal["t/s", "J/token"]
    test: str
    first_sha256: str
    second_sha256: str
    ratio: Estimate
    ci95: tuple[float, float] | None
    n_blocks: int
    scope: str = ""


class RefinedPair(Record, frozen=True):
    """A refined file and the same file as the encoder made it, on the same tokens of ``text``.

    ``ratio``: mean KLD of the refined one over the other's, with its 95 % interval over chunks of text.
    """

    refined_sha256: str
    stock_sha256: str
    text: str
    ratio: Estimate
    ci95: tuple[float, float] | None
    verdict: Literal["better", "no better", "worse"]


class Tariff(Record, frozen=True):
    """What energy and hardware cost, in any currency. ``efficiency``: energy at the scope over energy at the wall."""

    per_kwh: float
    efficiency: float | None = None
    device_price: float | None = None
    life_h: float | None = None
    utilization: float = 1.0


class Throttling(Record, frozen=True):
    """Whether the device slowed itself down while it was measured. ``share``: of the timed phases, where known."""

    verdict: Literal["none", "suspected", "confirmed", "unknown"]
    reason: str = ""
    share: float | None = None


class Memory(Record, frozen=True):
    """What a model needs in memory, in the numbers that differ.

    ``anon_peak``: what can't be given back (heap, repacked weights, KV cache). ``mapped_peak``: resident pages of the
    model's file, which the kernel may drop and read again. ``rss_peak``: the process's high-water mark.
    ``available_drop``: by how much the machine's available memory fell. ``cgroup_peak``: of the control group, caches
    included. ``kv_bytes``: context memory of each test. ``vram_peak``: on the GPU; None where the GPU shares the RAM.
    """

    rss_peak_bytes: int | None = None
    anon_peak_bytes: int | None = None
    mapped_peak_bytes: int | None = None
    available_drop_bytes: int | None = None
    cgroup_peak_bytes: int | None = None
    vram_peak_bytes: int | None = None
    kv_bytes: dict[str, int] = msgspec.field(default_factory=dict)


class Fit(Record, frozen=True):
    """Whether a model's file will run on a board with a context of ``n_ctx``, and how fast it can decode at most.

    ``mapped``: weights that stay in the pages of the file, which the kernel may drop and read again. ``repacked``:
    weights that are copied into the program's own memory. ``kv``: caches and recurrent states. ``compute``: what a
    batch of ``n_ubatch`` tokens touches. ``overhead``: the program, its libraries and the vocabulary, measured.
    ``held``: what can't be given back. ``needed``: that and the mapped weights. ``rss_peak``: that and the pages of the
    file that only loading needs. All these are of the main memory; ``gpu_needed`` is of a GPU's own.

    ``verdict``: fits where the main memory takes ``rss_peak``, tight where it takes ``needed`` only, so that the kernel
    drops pages while the model is loaded. ``margin``: what is usable less what is needed, in the memory that has the
    least to spare; below 0 where it does not fit. ``max_n_ctx``: the longest context that there is room for, up to the
    training context; 0 for none.

    ``read``: weights that one token reads. ``bound_tps``: what the memory's bandwidth allows for with an empty context,
    ``full_bound_tps`` with a full one: bounds and no forecasts. None where the bandwidth is not known.
    """

    model: Gguf
    profile: str
    n_ctx: int
    n_ubatch: int
    weights_bytes: int
    mapped_bytes: int
    repacked_bytes: int
    kv_bytes: int
    compute_bytes: int
    overhead_bytes: int
    held_bytes: int
    needed_bytes: int
    rss_peak_bytes: int
    usable_bytes: int
    verdict: Literal["fits", "tight", "does not fit"]
    margin_bytes: int
    max_n_ctx: int
    n_ctx_train: int
    read_bytes: int
    bound_tps: float | None = None
    full_bound_tps: float | None = None
    bandwidth_source: str = ""
    gpu_needed_bytes: int | None = None
    gpu_usable_bytes: int | None = None


class Row(Record, frozen=True):
    """One model on one device, everything that was measured of it. Keyed by effective bpw, not by name alone.

    What it was measured with: ``settings``, ``backend`` and ``build`` (its key) of the bench, ``power_mode`` of the
    machine, ``tokens_sha256`` of the text that was scored; None where that was not measured.
    """

    name: str
    device: str
    sha256: str
    file_type: str
    bpw: float
    n_bytes: int
    on_label: float | None
    tensor_types: dict[str, float]
    imatrix: bool
    reference: bool
    quality: Quality | None = None
    speeds: tuple[Speed, ...] = ()
    load_s: float | None = None
    rss_peak_bytes: int | None = None
    notes: tuple[Note, ...] = ()
    energies: tuple[Energy, ...] = ()
    costs: tuple[Cost, ...] = ()
    memory: Memory | None = None
    throttling: Throttling | None = None
    temperature_max_c: float | None = None
    sampler_share: float | None = None
    settings: BenchSettings | None = None
    backend: str | None = None
    build: str | None = None
    power_mode: str | None = None
    tokens_sha256: str | None = None


class Summary(Record, frozen=True):
    """Derived from records, can always be computed again."""

    title: str
    host: Host | None
    llama_commit: str | None
    corpus: tuple[Corpus, ...]
    eval_settings: EvalSettings | None
    bench_settings: BenchSettings | None
    rows: tuple[Row, ...]
    warnings: tuple[Note, ...]
    front: tuple[str, ...]
    tariff: Tariff | None = None
    comparisons: tuple[Comparison, ...] = ()
    refined: tuple[RefinedPair, ...] = ()
