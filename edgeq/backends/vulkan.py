"""Vulkan: GPUs of every maker, through the driver that the system has."""

from __future__ import annotations

import os
import re
from pathlib import Path

from edgeq.access import Access
from edgeq.backends import Check
from edgeq.backends._isa import isa_args
from edgeq.backends._offload import offload
from edgeq.records import Note, Profile
from edgeq.toolchain import Toolchain

DEVICE = "gpu"
# Measured: mul_mm.comp.cpp, 67 MB of shaders written as arrays, takes g++ 12 2.2 GB.
BYTES_PER_JOB = 2_300_000_000
# Debian 12's headers, the oldest that were tried; native/vulkan_layer_settings.h adds what they lack.
NEEDED = (1, 3, 239)
NO_DEVICE = "`vulkaninfo --summary` lists the devices; a software one is used only with GGML_VK_VISIBLE_DEVICES=0."
_INCLUDE = "-DVulkan_INCLUDE_DIR="


def check(access: Access, profile: Profile, chain: Toolchain) -> Check:
    """Headers that are new enough, the loader, the SPIR-V headers and the shader compiler."""
    if chain.cross:
        text = f"The Vulkan loader for {chain.target} can't be found from here: vulkan is compiled on the device."
        return Check({}, (Note("vulkan-cross", text, "Run `edgeq build --backend vulkan` on the device."),))
    versions, problems = {}, []
    found = headers(access, profile)
    if found is None:
        problems.append(
            Note("no-vulkan", "The Vulkan headers were not found.", "`apt install libvulkan-dev` (Debian, Ubuntu).")
        )
    else:
        versions["Vulkan headers"] = ".".join(map(str, found))
        if found < NEEDED:
            problems.append(_too_old(found))
    glslc = access.run(["glslc", "--version"])
    if glslc is None:
        text = "glslc, which compiles the shaders, is missing."
        problems.append(Note("no-glslc", text, "`apt install glslc` (Debian, Ubuntu), or install the Vulkan SDK."))
    else:
        versions["glslc"] = glslc.splitlines()[0]
    if not _any(access, "share/cmake/SPIRV-Headers", "lib/cmake/SPIRV-Headers", "lib/*/cmake/SPIRV-Headers"):
        problems.append(
            Note("no-spirv", "The SPIR-V headers were not found.", "`apt install spirv-headers` (Debian, Ubuntu).")
        )
    return Check(versions, tuple(problems))


def headers(access: Access, profile: Profile) -> tuple[int, int, int] | None:
    """Version of the Vulkan headers that CMake will find, None where there are none."""
    given = [Path(a.removeprefix(_INCLUDE)) for a in profile.cmake_args if a.startswith(_INCLUDE)]
    sdk = [Path(os.environ["VULKAN_SDK"]) / "include"] if "VULKAN_SDK" in os.environ else []
    system = [access.root / "usr/include", access.root / "usr/local/include"]
    for folder in (*given, *sdk, *system):
        text = access.try_text(folder / "vulkan/vulkan_core.h")
        last = re.search(r"#define VK_HEADER_VERSION (\d+)", text or "")
        first = re.search(r"VK_HEADER_VERSION_COMPLETE VK_MAKE_API_VERSION\(\d+, (\d+), (\d+),", text or "")
        if last and first:
            return int(first[1]), int(first[2]), int(last[1])
    return None


def cmake_args(profile: Profile) -> tuple[str, ...]:
    """llama.cpp's own options."""
    return (*isa_args(profile), "-DGGML_METAL=OFF", "-DGGML_BLAS=OFF", "-DGGML_VULKAN=ON")


def runner_args(profile: Profile) -> dict[str, object]:
    """All layers on the GPU unless the profile says how many."""
    return offload(profile)


def _too_old(found: tuple[int, int, int]) -> Note:
    has, needs = (".".join(map(str, v)) for v in (found, NEEDED))
    return Note(
        "old-vulkan",
        f"The Vulkan headers are version {has}, and this llama.cpp needs {needs}.",
        "Install the Vulkan SDK and set VULKAN_SDK, or give headers of your own with "
        f"`cmake_args: [{_INCLUDE}/path/include]` in a profile.",
    )


def _any(access: Access, *patterns: str) -> bool:
    tops = ("usr", "usr/local")
    sdk = os.environ.get("VULKAN_SDK")
    return any(access.find(f"{top}/{p}") for top in tops for p in patterns) or bool(
        sdk and any(list(Path(sdk).glob(p)) for p in patterns)
    )
