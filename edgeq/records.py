"""The nouns: frozen records that the rooms hand over, and nothing else.

Units are in the names (``_s _ns _j _w _bytes _tps``). ``None`` means *not measured* and is printed as ``-``.
Arrays of many values are kept as little-endian bytes (``_f32``, ``_u8``, ``_i64``), which JSON carries as base64.
"""

from __future__ import annotations

from typing import Literal

import msgspec

# 1: first version.
SCHEMA = 1


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=False):
    """A fact that was written down once and is never changed."""


class Note(Record, frozen=True):
    """A warning that travels with the result it concerns."""

    code: str
    text: str
    hint: str = ""


# --- prepare -------------------------------------------------------------------------------------------------


class Source(Record, frozen=True):
    """Where a model came from."""

    repo: str
    revision: str | None
    arch: str
    n_params: int
    license: str | None


class Gguf(Record, frozen=True):
    """A GGUF file and what is really in it.

    ``bpw`` is file bits per parameter, embeddings included. ``tensor_types`` maps a type to its number of
    parameters. ``on_label`` is the share of parameters in weight matrices that have the type the name promises,
    ``None`` where the name promises none (F16, F32). ``requantized`` marks files that descend from weights that
    had been quantized before.
    """

    path: str
    sha256: str
    n_bytes: int
    arch: str
    name: str
    n_params: int
    n_layers: int
    file_type: str
    bpw: float
    tensor_types: dict[str, int]
    on_label: float | None
    requantized: bool = False
    source: Source | None = None
    recipe: Recipe | None = None
    parent_sha256: str | None = None
    imatrix_sha256: str | None = None
    predicted_bytes: int | None = None


class Imatrix(Record, frozen=True):
    """An importance matrix (GGUF) and what it was computed from."""

    path: str
    sha256: str
    corpus: tuple[Corpus, ...]
    n_chunks: int
    n_ctx: int
    model_sha256: str
    n_entries: int


class Recipe(Record, frozen=True):
    """How to make one file: the settings of one quantization method."""

    name: str
    file_type: str
    method: str = "stock"
    imatrix: bool = True
    pure: bool = False
    overrides: tuple[tuple[str, str], ...] = ()
    token_embedding_type: str | None = None
    output_tensor_type: str | None = None


class Corpus(Record, frozen=True):
    """A text as it was used: file name, SHA-256 of its bytes, and the half of its chunks that was used."""

    name: str
    sha256: str
    n_bytes: int
    part: Literal["all", "first half", "second half"] = "all"


# --- measure -------------------------------------------------------------------------------------------------


class Build(Record, frozen=True):
    """One compiled llama.cpp with our native programs beside it.

    ``tools`` maps a role (quantize, perplexity, bench, native-bench ...) to a path, ``sha256`` to its hash.
    """

    key: str
    backend: str
    target: str
    llama_commit: str
    cmake_args: tuple[str, ...]
    compiler: str
    folder: str
    tools: dict[str, str]
    sha256: dict[str, str]
    seconds: float

    def tool(self, role: str) -> str:
        """Path of the program that plays ``role``. Raises KeyError for a role that was not built."""
        return self.tools[role]


class Profile(Record, frozen=True):
    """How to use one kind of device."""

    name: str
    description: str = ""
    backend: str = "cpu"
    n_threads: int | None = None
    n_gpu_layers: int = 0
    sensors: tuple[str, ...] = ("process_memory",)


class Host(Record, frozen=True):
    """The machine at the time of measuring."""

    cpu: str
    arch: str
    n_cores: int
    n_threads: int
    features: tuple[str, ...]
    gpu: tuple[str, ...]
    os: str
    kernel: str
    mem_bytes: int
    governor: str | None
    python: str


class Channel(Record, frozen=True):
    """One quantity that a sensor gives, with everything needed to integrate it correctly."""

    name: str
    quantity: Literal["energy", "power", "memory", "temperature", "frequency"]
    kind: Literal["counter", "gauge", "average"]
    unit: str
    scope: Literal["wall", "board", "module", "package", "gpu", "rail", "process"]
    update_period_s: float | None = None
    window_s: float | None = None
    lsb: float | None = None
    accuracy: str | None = None
    wraps_at: float | None = None
    estimated: bool = False


class Trace(Record, frozen=True):
    """What one channel gave: samples ``(t_ns, value)`` on CLOCK_MONOTONIC, int64 and float64 little-endian."""

    channel: Channel
    t_ns_i64: bytes
    value_f64: bytes


class BenchTest(Record, frozen=True):
    """One bench test, named as llama-bench prints it: pp512, tg128, tg128@d4096."""

    n_prompt: int
    n_gen: int
    n_depth: int = 0

    @property
    def name(self) -> str:
        """The test's name in the field's own spelling."""
        base = f"pp{self.n_prompt}" if self.n_prompt else f"tg{self.n_gen}"
        return f"{base}@d{self.n_depth}" if self.n_depth else base


class Phase(Record, frozen=True):
    """One stretch of work, stamped on CLOCK_MONOTONIC after ``llama_synchronize``.

    ``token_ns`` are the times at which each decoded token was ready, relative to ``t0_ns``.
    """

    kind: Literal["idle", "load", "warmup", "fill", "prefill", "decode"]
    test: str | None
    rep: int
    n_tokens: int
    t0_ns: int
    t1_ns: int
    token_ns: tuple[int, ...] | None = None


class Buffer(Record, frozen=True):
    """What llama.cpp allocated in one kind of memory, for one test's context."""

    test: str
    device: str
    model_bytes: int
    context_bytes: int
    compute_bytes: int


class BenchSettings(Record, frozen=True):
    """What is run and how: names as in llama.cpp."""

    tests: tuple[BenchTest, ...]
    n_reps: int = 5
    n_threads: int = 0
    n_batch: int = 2048
    n_ubatch: int = 512
    n_gpu_layers: int = 0
    flash_attn: Literal["auto", "on", "off"] = "auto"
    type_k: str = "f16"
    type_v: str = "f16"


class BenchRecord(Record, frozen=True):
    """Raw facts of one bench of one model. Everything derived is computed later."""

    model: Gguf
    build: Build
    profile: Profile
    host: Host
    settings: BenchSettings
    phases: tuple[Phase, ...]
    traces: tuple[Trace, ...]
    buffers: tuple[Buffer, ...]
    rss_peak_bytes: int | None
    rss_after_load_bytes: int | None
    missing: tuple[Note, ...] = ()


class EvalSettings(Record, frozen=True):
    """Which tokens are scored: in each chunk of ``n_ctx`` tokens, those predicted from position ``first`` on."""

    n_ctx: int = 512
    n_chunks: int = 0
    first: int = 256
    n_threads: int = 0
    n_ubatch: int = 512
    flash_attn: Literal["auto", "on", "off"] = "auto"


class EvalRecord(Record, frozen=True):
    """Per-token values of one model against the reference, over ``n_tokens`` scored tokens in chunk order.

    ``nll_f32``: -ln p of the true token. ``kld_f32``: KL(reference || model) in nats over the whole vocabulary.
    ``same_top_u8``: 1 where both put the same token first. For the reference itself the last two are empty.
    """

    model: Gguf
    reference: Gguf
    build: Build
    host: Host
    corpus: tuple[Corpus, ...]
    tokens_sha256: str
    settings: EvalSettings
    n_tokens: int
    nll_f32: bytes
    reference_nll_f32: bytes
    kld_f32: bytes
    same_top_u8: bytes


# --- decide --------------------------------------------------------------------------------------------------


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
    """One test's result. ``tps`` is total tokens over total time; percentiles are of single decode steps."""

    test: str
    n_reps: int
    tps: Estimate
    ttft_s: Estimate | None = None
    tpot_p50_s: float | None = None
    tpot_p95_s: float | None = None
    tpot_p99_s: float | None = None


class Row(Record, frozen=True):
    """One model on one device, everything that was measured of it. Keyed by effective bpw, not by name alone."""

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


# --- plan ----------------------------------------------------------------------------------------------------


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
    n_reps: int = 5
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


class Stored(Record, frozen=True):
    """How a record lies on disk: schema, kind, and the key of the inputs that it was made from."""

    schema: int
    kind: str
    key: str
    record: msgspec.Raw
