"""The CPU with OpenBLAS, which multiplies prompts in single precision; single tokens stay with llama.cpp's code."""

from __future__ import annotations

from edgeq.access import Access
from edgeq.backends import Check
from edgeq.backends._isa import isa_args
from edgeq.backends._offload import offload
from edgeq.records import Note, Profile
from edgeq.toolchain import Toolchain

DEVICE = "accel"
BYTES_PER_JOB = 1_500_000_000
NO_DEVICE = "llama.cpp found nothing to compute on: its log says why."


def check(access: Access, profile: Profile, chain: Toolchain) -> Check:
    """OpenBLAS and pkg-config, by which llama.cpp's CMake finds its headers."""
    if chain.cross:
        text = f"OpenBLAS for {chain.target} can't be found from here: the blas backend is compiled on the device."
        return Check({}, (Note("blas-cross", text, "Use --backend cpu, or run `edgeq build` on the device."),))
    install = "Install it: `apt install libopenblas-dev pkg-config` (Debian, Ubuntu, Raspberry Pi OS)."
    if access.run(["pkg-config", "--version"]) is None:
        return Check({}, (Note("no-pkg-config", "pkg-config, which finds OpenBLAS, is missing.", install),))
    for name in ("openblas64", "openblas"):
        if version := access.run(["pkg-config", "--modversion", name]):
            return Check({"OpenBLAS": version.strip()})
    return Check({}, (Note("no-openblas", "OpenBLAS was not found.", install),))


def cmake_args(profile: Profile) -> tuple[str, ...]:
    """llama.cpp's own options."""
    return (*isa_args(profile), "-DGGML_METAL=OFF", "-DGGML_BLAS=ON", "-DGGML_BLAS_VENDOR=OpenBLAS")


def runner_args(profile: Profile) -> dict[str, object]:
    """No layer leaves the CPU."""
    return offload(profile, default=0)
