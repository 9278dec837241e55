"""Instruction sets: a profile's ``isa`` as llama.cpp's options.

What they decide on ARM: Q4_0, Q4_K and IQ4_NL matrices are rearranged in memory when a model is loaded, and multiplied
several rows at a time, where the cores have dot products (+dotprod, Cortex-A76 and later) or matrix products (+i8mm);
a Raspberry Pi 4's Cortex-A72 has neither. +fp16 makes F16 arithmetic native, +sve is used where vectors have 256 bits.
"""

from __future__ import annotations

from edgeq.records import Profile

_X86_LEVELS = {
    2: ("SSE42",),
    3: ("SSE42", "AVX", "AVX2", "BMI2", "FMA", "F16C"),
    4: ("SSE42", "AVX", "AVX2", "BMI2", "FMA", "F16C", "AVX512"),
}
# 2013 and later: Haswell, Zen, and the small cores since Gracemont (N100).
_X86_BASELINE = 3


def isa_args(profile: Profile) -> tuple[str, ...]:
    """Options of the CPU code, which every backend has beside its own."""
    isa, target = profile.isa, profile.target or ""
    if isa == "native":
        return ("-DGGML_NATIVE=ON",)
    if isa == "variants":
        return ("-DGGML_NATIVE=OFF", "-DGGML_BACKEND_DL=ON", "-DGGML_CPU_ALL_VARIANTS=ON")
    if isa.startswith("armv") or target.startswith(("aarch64", "arm64")):
        return ("-DGGML_NATIVE=OFF", f"-DGGML_CPU_ARM_ARCH={'armv8-a' if isa == 'baseline' else isa}")
    level = _X86_BASELINE if isa == "baseline" else int(isa[-1])
    every = _X86_LEVELS[max(_X86_LEVELS)]
    return ("-DGGML_NATIVE=OFF", *(f"-DGGML_{f}={'ON' if f in _X86_LEVELS[level] else 'OFF'}" for f in every))
