"""Apple's GPUs. The kernels are embedded in the library, so that no file must lie beside the programs."""

from __future__ import annotations

from edgeq.access import Access
from edgeq.backends import Check
from edgeq.backends._isa import isa_args
from edgeq.backends._offload import offload
from edgeq.records import Note, Profile
from edgeq.toolchain import Toolchain

DEVICE = "gpu"
BYTES_PER_JOB = 1_500_000_000
NO_DEVICE = "llama.cpp found nothing to compute on: its log says why."


def check(access: Access, profile: Profile, chain: Toolchain) -> Check:
    """A Mac: its frameworks exist nowhere else, and no other compiler makes programs for it."""
    if access.platform != "darwin":
        text = f"Metal is part of macOS, and this machine runs {access.platform}."
        return Check({}, (Note("no-metal", text, "Run `edgeq build --backend metal` on the Mac itself."),))
    version = access.run(["sw_vers", "-productVersion"])
    return Check({"macOS": version.strip()} if version else {})


def cmake_args(profile: Profile) -> tuple[str, ...]:
    """llama.cpp's own options, as its own builds for Macs have them: Accelerate multiplies what stays on the CPU."""
    gpu = ("-DGGML_METAL=ON", "-DGGML_METAL_EMBED_LIBRARY=ON")
    return (*isa_args(profile), *gpu, "-DGGML_BLAS=ON", "-DGGML_BLAS_VENDOR=Apple")


def runner_args(profile: Profile) -> dict[str, object]:
    """All layers on the GPU: it shares the memory with the CPU."""
    return offload(profile)
