"""The room's door: needs against what the board has, the longest context, the bound of decoding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgeq import device, gguf_info
from edgeq.errors import InputError
from edgeq.fit.needs import Needs, all_kv_bytes, needs
from edgeq.fit.placing import Placing, n_gpu_layers, place
from edgeq.fit.sizes import Asked, Program
from edgeq.records import Build, Fit, Gguf, Profile

Verdict = Literal["fits", "tight", "does not fit"]

_GIB = 2**30
# llama.cpp pads contexts to a multiple of this.
_STEP = 256
# Contexts that one run of the program is asked for.
_PROBES = 8


@dataclass(frozen=True)
class _Board:
    usable_bytes: int
    gpu_usable_bytes: int | None

    def margin_bytes(self, n: Needs) -> int:
        """What is left in the memory that has the least to spare."""
        left = self.usable_bytes - n.needed_bytes
        return left if self.gpu_usable_bytes is None else min(left, self.gpu_usable_bytes - n.gpu_bytes)

    def verdict(self, n: Needs) -> Verdict:
        if self.margin_bytes(n) < 0:
            return "does not fit"
        return "fits" if n.rss_peak_bytes <= self.usable_bytes else "tight"


def fit(
    model: Gguf,
    profile: Profile,
    build: Build,
    *,
    n_ctx: int,
    n_threads: int = 0,
    n_batch: int = 2048,
    n_ubatch: int = 512,
) -> Fit:
    """Size ``model`` for the board of ``profile`` with a context of ``n_ctx`` tokens, without reading its weights.

    llama.cpp itself does the sizing, in a build for this machine. Which weights are repacked depends on the processor's
    kernels: on another one the split between mapped and repacked may differ, what must be held or mapped together does
    not. Where the board has a GPU and this build has none, the weights and the context are placed by llama.cpp's rule
    and the GPU's compute buffers are taken to be as large as the CPU's; the driver's own memory is not known.

    A profile without memory is this machine. ``n_threads``: 0 for the profile's number, else the machine's physical
    cores. Raises InputError for a file that is damaged or that llama.cpp refuses.
    """
    if profile.backend == "cuda" and profile.memory is None:
        raise InputError(
            f"{profile.name} does not say how much memory there is.",
            "Write a profile with `like: " + profile.name + "` that gives memory and, for a card, gpu.gib.",
        )
    header = gguf_info.read_header(Path(model.path))
    threads = n_threads or profile.n_threads or device.physical_cores()
    program = Program(build, model, _options(profile, threads, n_batch, n_ubatch))

    def ask(*lengths: int) -> dict[int, Needs]:
        asked = program.ask(lengths)
        placing = place(asked, profile)
        return {n: needs(asked, n, placing, header) for n in asked.sizes}

    asked = program.ask([n_ctx])
    placing = place(asked, profile)
    found = needs(asked, n_ctx, placing, header)
    board = _board(profile, placing)
    bounds = _Bound(profile, placing, all_kv_bytes(asked.sizes[n_ctx]))
    return Fit(
        model=model,
        profile=profile.name,
        n_ctx=n_ctx,
        n_ubatch=n_ubatch,
        weights_bytes=sum(t.n_bytes for t in header.tensors),
        mapped_bytes=found.mapped_bytes,
        repacked_bytes=found.repacked_bytes,
        kv_bytes=found.kv_bytes,
        compute_bytes=found.compute_bytes,
        overhead_bytes=found.overhead_bytes,
        held_bytes=found.held_bytes,
        needed_bytes=found.needed_bytes,
        rss_peak_bytes=found.rss_peak_bytes,
        usable_bytes=board.usable_bytes,
        verdict=board.verdict(found),
        margin_bytes=board.margin_bytes(found),
        max_n_ctx=_longest(asked, lambda *ns: {n: board.margin_bytes(x) >= 0 for n, x in ask(*ns).items()}),
        n_ctx_train=asked.n_ctx_train,
        read_bytes=sum(w.read_bytes for w in asked.weights),
        bound_tps=bounds.tps(0.0),
        full_bound_tps=bounds.tps(1.0),
        bandwidth_source=bounds.source,
        gpu_needed_bytes=found.gpu_bytes if board.gpu_usable_bytes is not None else None,
        gpu_usable_bytes=board.gpu_usable_bytes,
    )


def _options(profile: Profile, n_threads: int, n_batch: int, n_ubatch: int) -> tuple[str, ...]:
    return (
        *("--threads", str(n_threads), "--batch", str(n_batch), "--ubatch", str(n_ubatch)),
        *("--gpu-layers", str(n_gpu_layers(profile)), "--flash-attn", profile.flash_attn),
        *("--type-k", profile.type_k, "--type-v", profile.type_v),
    )


def _board(profile: Profile, placing: Placing) -> _Board:
    memory = profile.memory
    usable = device.host().mem_bytes if memory is None else int((memory.gib - memory.system_gib) * _GIB)
    if not placing.on_card or profile.gpu is None or profile.gpu.gib is None:
        return _Board(usable, None)
    return _Board(usable, int(profile.gpu.gib * _GIB))


def _longest(asked: Asked, fits: Callable[..., dict[int, bool]]) -> int:
    """The longest context that fits: a multiple of 256, or the training context; 0 where none does.

    Needs grow with the length, so that the range between what fits and what does not is divided again and again. A run
    that is asked for several lengths keeps some heap of the shorter ones, so that the last steps are asked for alone.
    """
    n_steps = -(-asked.n_ctx_train // _STEP)
    low, high = 0, n_steps + 1  # in steps; low fits, high does not
    while high - low > 1:
        width = max(1, (high - low) // (_PROBES + 1))
        probes = {min(n * _STEP, asked.n_ctx_train): n for n in range(low + width, high, width)}
        told = fits(*probes)
        good = [n for length, n in probes.items() if told[length]]
        bad = [n for length, n in probes.items() if not told[length]]
        low, high = max(good, default=low), min(bad, default=high)
    while low < n_steps and all(fits(min((low + 1) * _STEP, asked.n_ctx_train)).values()):
        low += 1
    return min(low * _STEP, asked.n_ctx_train)


class _Bound:
    """Tokens per second at which the memory hands over what one token reads, and nothing else takes time."""

    def __init__(self, profile: Profile, placing: Placing, kv_bytes: int) -> None:
        self._read = (_read(placing, card=False), _read(placing, card=True))
        share = placing.gpu_share if placing.has_own_memory else 0.0
        self._kv = (kv_bytes * (1 - share), kv_bytes * share)
        memory, gpu = profile.memory, profile.gpu
        self._gb_s = (memory.gb_s if memory else None, gpu.gb_s if gpu else None)
        used = ((memory, self._read[0]), (gpu, self._read[1]))
        self.source = "; ".join(m.source for m, n in used if m and n and m.gb_s and m.source)

    def tps(self, filled: float) -> float | None:
        """``filled``: share of the context that holds tokens."""
        seconds = 0.0
        for read, kv, gb_s in zip(self._read, self._kv, self._gb_s, strict=True):
            if n := read + kv * filled:
                if gb_s is None:
                    return None
                seconds += n / (gb_s * 1e9)
        return 1 / seconds if seconds else None


def _read(placing: Placing, *, card: bool) -> int:
    return sum(w.read_bytes for w in (placing.on_card if card else placing.on_host))
