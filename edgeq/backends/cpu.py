"""The CPU of this machine, with every instruction set it has."""

from __future__ import annotations

from edgeq import shell
from edgeq.records import Note, Profile


def check() -> list[Note]:
    """A C++17 compiler is all that is needed: CMake and Ninja come with edgeq."""
    if compiler() is not None:
        return []
    return [
        Note(
            "no-compiler",
            "No C++ compiler was found.",
            "Install one: `apt install g++` (Debian, Ubuntu, Raspberry Pi OS), `xcode-select --install` (macOS).",
        )
    ]


def compiler() -> str | None:
    """First line of the C++ compiler's version, or None where there is no compiler."""
    text = shell.output(["c++", "--version"])
    return text.splitlines()[0] if text else None


def cmake_args() -> tuple[str, ...]:
    """llama.cpp's own options: only the CPU backend, tuned for this machine."""
    return ("-DGGML_NATIVE=ON", "-DGGML_METAL=OFF", "-DGGML_BLAS=OFF")


def runner_args(profile: Profile) -> dict[str, object]:
    """No layer leaves the CPU."""
    return {"n_gpu_layers": 0}
