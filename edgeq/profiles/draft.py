"""A first profile of the machine at hand: what can be read of it, and lines that say what its user should add."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

from edgeq.access import Access
from edgeq.profiles.machine import Machine, machine

# Sizes of memory that are sold, in GiB.
_SIZES = (0.5, 1, 2, 3, 4, 6, 8, 12, 16, 18, 24, 32, 36, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
_X86_V2 = {"cx16", "lahf_lm", "popcnt", "sse4_1", "sse4_2", "ssse3"}
_X86_V3 = _X86_V2 | {"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe"}
_X86_V4 = _X86_V3 | {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}
# What each of GCC's extensions needs in /proc/cpuinfo.
_ARM_EXTENSIONS = {
    "dotprod": {"asimddp"},
    "fp16": {"fphp", "asimdhp"},
    "i8mm": {"i8mm"},
    "bf16": {"bf16"},
    "sve": {"sve"},
}


def draft(access: Access) -> str:
    """YAML of a profile that `load` reads. Nothing in it is guessed: bandwidth and price are left to the user."""
    return "\n".join(_lines(machine(access))) + "\n"


def nominal_gib(gib: float) -> float:
    """The size that is built in where the kernel has ``gib``: the next one that is sold."""
    return next((float(size) for size in _SIZES if size >= gib * 0.995), float(round(gib)))


def isa(here: Machine) -> str:
    """The instruction sets of this machine's processor, as a profile's ``isa``."""
    if here.arch == "x86_64":
        for level, needed in ((4, _X86_V4), (3, _X86_V3), (2, _X86_V2)):
            if needed <= here.features:
                return f"x86-64-v{level}"
    if here.arch == "aarch64" and here.features:
        if {"sve2", "i8mm", "bf16"} <= here.features:
            return "armv9-a+i8mm+bf16"
        extensions = "".join(f"+{name}" for name, needed in _ARM_EXTENSIONS.items() if needed <= here.features)
        return f"armv8.2-a{extensions}" if extensions else "armv8-a"
    return "native" if here.arch == "arm64" else "baseline"


def _lines(here: Machine) -> Iterator[str]:
    gib = None if here.mem_gib is None else nominal_gib(here.mem_gib)
    board = here.board or "unknown"
    size = "" if gib is None else f"-{gib:g}gb"
    yield "# What this machine says of itself. Check it, then complete the lines that begin with # and a key."
    yield f"name: {re.sub('[^a-z0-9]+', '-', board.lower()).strip('-') or 'machine'}{size}"
    yield "# description: one sentence."
    yield f"board: {_quoted(board)}"
    if here.compatible or here.cpu:
        yield f"soc: {_quoted(here.cpu or here.compatible[-1])}"
    yield "backend: cpu"
    yield "# backend: what else it can use; `edgeq doctor` lists the backends."
    if here.cores:
        yield "cores:"
        for core in here.cores:
            speed = "" if core.max_ghz is None else f", max_ghz: {core.max_ghz:g}"
            yield f"  - {{name: {_quoted(core.name)}, count: {core.count}{speed}}}"
    if gib is not None:
        yield from _memory(gib)
    if here.gpus:
        yield from _gpu(here)
    if (target := _target(here)) is not None:
        yield f"target: {target}"
        yield f"isa: {isa(here)}"
    yield "# n_threads: the number that `edgeq bench --threads` shows to be best; without it, all cores."
    yield "# power_channel: sensor and channel of the total, as `edgeq doctor` names them: `ina VDD_IN`."
    yield "# price: {amount: 95, currency: USD, date: 2025-12, source: where this price was seen}"
    yield "# thermal: {throttle_c: 80, source: the maker's document that says so}"
    yield from _match(here)


def _memory(gib: float) -> Iterator[str]:
    yield "memory:"
    yield f"  gib: {gib:g}"
    yield "  # kind: what the maker's data sheet says, such as LPDDR4X-4267."
    yield "  # gb_s: width of the bus in bits x MT/s / 8000; without it, no speed can be predicted."
    yield "  # source: the data sheet's name, and the computation."


def _gpu(here: Machine) -> Iterator[str]:
    gpu = here.gpus[0]
    yield "gpu:"
    yield f"  name: {_quoted(gpu.name)}"
    if gpu.cuda_arch is not None:
        yield f"  cuda_arch: {gpu.cuda_arch}"
    if gpu.gib is not None:
        yield f"  gib: {gpu.gib:g}"
    yield "  # gb_s: the rate of its memory, with the source beside it."


def _match(here: Machine) -> Iterator[str]:
    """By the surest name that the machine has."""
    if here.compatible:
        yield from ("match:", f"  device_tree: {_list(here.compatible[:1])}")
    elif here.dmi:
        yield from ("match:", f"  dmi: {_list(here.dmi[:1])}")
    elif here.cpu:
        yield from ("match:", f"  cpu: {_list([here.cpu])}")


def _target(here: Machine) -> str | None:
    systems = {"linux": "linux-gnu", "darwin": "apple-darwin"}
    system = systems.get(here.access.platform)
    return None if here.arch is None or system is None else f"{here.arch}-{system}"


def _list(texts: Iterable[str]) -> str:
    return f"[{', '.join(_quoted(t) for t in texts)}]"


def _quoted(text: str) -> str:
    # JSON's strings are YAML's too, whatever is in them.
    return json.dumps(text, ensure_ascii=False)
