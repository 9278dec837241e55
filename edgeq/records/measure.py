"""Raw facts of a measurement: builds, devices, phases, evaluation values."""

from __future__ import annotations

from typing import Literal

import msgspec

from edgeq.records.base import Note, Record
from edgeq.records.device import Host, Profile
from edgeq.records.prepare import Corpus, Gguf
from edgeq.records.sensing import Sampling, Trace


class SelfTest(Record, frozen=True):
    """What a finished build has shown: it sees its devices, quantizes, and decodes what it must.

    ``emulator``: the program that ran the tools of another processor, "" where they ran directly. ``skipped``: why
    nothing was run; then the rest is empty.
    """

    devices: tuple[str, ...] = ()
    tokens: tuple[int, ...] = ()
    quantized_sha256: str = ""
    seconds: float = 0.0
    emulator: str = ""
    skipped: str = ""


class Build(Record, frozen=True):
    """One compiled llama.cpp with our native programs beside it.

    ``tools`` maps a role (quantize, perplexity, bench, llama-bench ...) to a path, ``sha256`` to its hash; ``sha256``
    has the shared libraries as well, by file name. ``versions``: of everything that went into it.
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
    isa: str = "native"
    versions: dict[str, str] = msgspec.field(default_factory=dict)
    self_test: SelfTest | None = None

    def tool(self, role: str) -> str:
        """Path of the program that plays ``role``. Raises KeyError for a role that was not built."""
        return self.tools[role]


class Bundle(Record, frozen=True):
    """A folder for a board. ``n_ctx``: context that its server asks for; ``glibc``: the oldest C library it runs with.

    ``runtime``: the compiler's libraries that lie beside the programs.
    """

    profile: Profile
    build: Build
    models: tuple[Gguf, ...]
    n_ctx: int
    glibc: str
    runtime: tuple[str, ...]


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
    """One stretch of time, stamped on CLOCK_MONOTONIC, after ``llama_synchronize`` where work is done.

    ``idle``: before the program starts (``rep`` 0) and after it has ended (1). ``loaded``: idle with the model in
    memory, before (0) and after (1) the tests. ``sync``: all cores busy, for aligning a meter that has its own clock.
    ``token_ns`` are the times at which each decoded token was ready, relative to ``t0_ns``.
    """

    kind: Literal["idle", "load", "loaded", "sync", "warmup", "fill", "prefill", "decode"]
    test: str | None
    rep: int
    n_tokens: int
    t0_ns: int
    t1_ns: int
    token_ns: tuple[int, ...] | None = None

    @property
    def timed(self) -> bool:
        """Whether it is a repetition that counts."""
        return self.kind in ("prefill", "decode")


class Buffer(Record, frozen=True):
    """What llama.cpp allocated in one kind of memory, for one test's context."""

    test: str
    device: str
    model_bytes: int
    context_bytes: int
    compute_bytes: int


class BenchSettings(Record, frozen=True):
    """What is run and how: names as in llama.cpp.

    Each test is repeated ``n_reps`` times, and more often until its repetitions together last ``min_window_s``, which
    is what the slowest power channel needs. ``idle_s``: length of each idle phase, 0 where no power is measured.
    ``sync_s``: load bursts of 1 to 4 times this before and after, for a meter with its own clock; 0 for none.
    """

    tests: tuple[BenchTest, ...]
    n_reps: int = 10
    n_threads: int = 0
    n_batch: int = 2048
    n_ubatch: int = 512
    n_gpu_layers: int = 0
    flash_attn: Literal["auto", "on", "off"] = "auto"
    type_k: str = "f16"
    type_v: str = "f16"
    idle_s: float = 0.0
    min_window_s: float = 0.0
    sync_s: float = 0.0

    @property
    def without_waiting(self) -> BenchSettings:
        """What decides the speed: without the times that follow from which sensors there are."""
        return msgspec.structs.replace(self, idle_s=0.0, min_window_s=0.0, sync_s=0.0)


class BenchRecord(Record, frozen=True):
    """Raw facts of one bench of one model. Everything derived is computed later.

    ``turn``: 0 for the measurement itself; 1, 2 ... where the same configuration was measured again, as an anchor of a
    series or in an interleaved comparison. ``model_mapped_peak_bytes``: resident pages of the model's own file.
    """

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
    model_mapped_peak_bytes: int | None = None
    sampling: tuple[Sampling, ...] = ()
    sampler_cpu_s: float | None = None
    turn: int = 0

    @property
    def configuration(self) -> tuple[object, ...]:
        """What was measured, first of all the file: records that agree in it differ in their turn only."""
        return (self.model.sha256, self.host.condition, self.build.key, self.settings.without_waiting)

    @property
    def begun_ns(self) -> int:
        """When it began, on CLOCK_MONOTONIC: in order within one boot of the machine."""
        return self.phases[0].t0_ns


# Fake quantization to 8 bits of the activations that feed weight matrices, symmetric: one range for each tensor, found
# beforehand on calibration text; one computed for each tensor, each token, or each 32 values of one token.
Activations = Literal["static-tensor", "dynamic-tensor", "dynamic-token", "dynamic-32"]


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
    ``activations``: how they were overwritten on the way, None where llama.cpp computed as it is. ``forward_s``: time
    that decoding with this model took.
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
    activations: Activations | None = None
    forward_s: float | None = None
