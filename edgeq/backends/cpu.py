"""The CPU: for the machine that compiles, for one kind of processor, or all kinds, chosen at run time."""

from __future__ import annotations

from edgeq.access import Access
from edgeq.backends import Check
from edgeq.backends._isa import isa_args
from edgeq.backends._offload import offload
from edgeq.records import Profile
from edgeq.toolchain import Toolchain

DEVICE = "cpu"
BYTES_PER_JOB = 1_500_000_000
NO_DEVICE = "llama.cpp found nothing to compute on: its log says why."


def check(access: Access, profile: Profile, chain: Toolchain) -> Check:
    """Nothing beyond the compiler: CMake and Ninja come with edgeq."""
    return Check()


def cmake_args(profile: Profile) -> tuple[str, ...]:
    """llama.cpp's own options: only the CPU backend."""
    return (*isa_args(profile), "-DGGML_METAL=OFF", "-DGGML_BLAS=OFF")


def runner_args(profile: Profile) -> dict[str, object]:
    """No layer leaves the CPU."""
    return offload(profile, default=0)
