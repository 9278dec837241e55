"""Which compiler makes programs for which machine, and what runs them here when that is another one."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path

from edgeq.access import Access
from edgeq.records import Note, Profile

_ISA = re.compile(r"native|baseline|variants|armv[89](\.\d)?-a(\+\w+)*|x86-64-v[234]")
# Cores of boards, and the first QEMU that imitates them.
_QEMU_CPUS = {
    "cortex-a53": (2, 3),
    "cortex-a57": (2, 1),
    "cortex-a72": (4, 0),
    "cortex-a76": (7, 1),
    "cortex-a55": (8, 0),
}
# The highest of llama.cpp's variants for ARM; GCC has it from version 14 on.
_NEWEST_ARM = "armv9.2-a+sme"
# Packages that bring a compiler, by target; Debian's names, which Ubuntu and Raspberry Pi OS share.
_PACKAGES = {"aarch64-linux-gnu": "g++-aarch64-linux-gnu", "x86_64-linux-gnu": "g++-x86-64-linux-gnu"}


@dataclass(frozen=True)
class Toolchain:
    """``cxx``: the C++ compiler; ``version``: its first line, None where it is not there. ``host``: this machine."""

    target: str
    host: str
    cc: str
    cxx: str
    version: str | None

    @property
    def cross(self) -> bool:
        """Whether what it makes can't run here."""
        return not same_machine(self.target, self.host)

    @property
    def processor(self) -> str:
        """The target's kind of processor, as CMake names it: aarch64, x86_64, arm64."""
        return self.target.partition("-")[0]

    def cmake_args(self) -> tuple[str, ...]:
        """What tells CMake of another machine; nothing for this one."""
        if not self.cross:
            return ()
        return (
            "-DCMAKE_SYSTEM_NAME=Linux",
            f"-DCMAKE_SYSTEM_PROCESSOR={self.processor}",
            f"-DCMAKE_C_COMPILER={self.cc}",
            f"-DCMAKE_CXX_COMPILER={self.cxx}",
        )

    def problems(self) -> list[Note]:
        """What keeps it from compiling."""
        if self.version is not None:
            return []
        if self.cross:
            return [_no_cross_compiler(self)]
        return [
            Note(
                "no-compiler",
                "No C++ compiler was found.",
                "Install one: `apt install g++` (Debian, Ubuntu, Raspberry Pi OS), `xcode-select --install` (macOS).",
            )
        ]


def toolchain(access: Access, target: str | None = None) -> Toolchain:
    """The compiler for ``target``, a GNU triple; None is this machine."""
    cc, cxx = os.environ.get("CC", "cc"), os.environ.get("CXX", "c++")
    host = (access.run([cxx, "-dumpmachine"]) or f"{platform.machine()}-{platform.system()}".lower()).strip()
    if target is None or same_machine(target, host):
        target = host
    else:
        cc, cxx = f"{target}-gcc", f"{target}-g++"
    text = access.run([cxx, "--version"])
    return Toolchain(target, host, cc, cxx, text.splitlines()[0] if text else None)


def same_machine(a: str, b: str) -> bool:
    """Whether programs of one triple run on the other: x86_64-redhat-linux and x86_64-linux-gnu are alike."""
    return _kind(a) == _kind(b)


def isa_problem(isa: str, target: str) -> str | None:
    """What is wrong with these instruction sets for a target ("" if that is not known), None if nothing is."""
    if not _ISA.fullmatch(isa):
        return f"isa {isa} is none of native, baseline, variants, armv8-a..., x86-64-v2 to x86-64-v4"
    processor = _kind(target)[0]
    wanted = "aarch64" if isa.startswith("armv") else "x86_64" if isa.startswith("x86") else processor
    return f"isa {isa} is not for {target}" if target and processor != wanted else None


def unknown_isa(access: Access, chain: Toolchain, isa: str) -> Note | None:
    """Says so where this compiler is too old for the instruction sets; on x86 llama.cpp asks for each by itself."""
    newest = _NEWEST_ARM if isa == "variants" and _kind(chain.target)[0] == "aarch64" else ""
    asked = isa if isa.startswith("armv") else newest
    if not asked or access.run([chain.cxx, f"-march={asked}", "-E", "-x", "c++", os.devnull]) is not None:
        return None
    text = f"This compiler ({chain.version}) does not know -march={asked}."
    return Note("old-compiler", text, "Install a newer one, or use --isa baseline or an older instruction set.")


def emulator(access: Access, chain: Toolchain, profile: Profile) -> tuple[str, ...] | None:
    """What to put before a program of another machine so that it runs here: QEMU as the profile's processor.

    None where QEMU is not installed. An instruction that the board's cores lack is then an illegal one here too.
    """
    for name in (f"qemu-{chain.processor}-static", f"qemu-{chain.processor}"):
        if m := re.search(r"version (\d+)\.(\d+)", access.run([name, "--version"]) or ""):
            libc = access.run([chain.cxx, "-print-file-name=libc.so.6"]) or ""
            cpu = _cpu(profile, (int(m[1]), int(m[2])))
            return (name, "-L", str(Path(libc.strip()).resolve().parents[1]), "-cpu", cpu)
    return None


def _cpu(profile: Profile, version: tuple[int, int]) -> str:
    known = [cpu for cpu, first in _QEMU_CPUS.items() if version >= first]
    for core in profile.cores:
        if (name := core.name.lower()) in known:
            return name
    # Of those that every QEMU has, this one has nothing beyond armv8-a.
    return "cortex-a53" if profile.isa in ("baseline", "armv8-a") else "max"


def _kind(triple: str) -> tuple[str, str]:
    processor = triple.partition("-")[0].replace("arm64", "aarch64").replace("amd64", "x86_64")
    return processor, next((s for s in ("linux", "darwin", "mingw") if s in triple), triple)


def _no_cross_compiler(chain: Toolchain) -> Note:
    package = _PACKAGES.get(chain.target)
    how = f"Install one: `apt install {package}` (Debian, Ubuntu)." if package else "Put it on the PATH."
    if "darwin" in chain.target:
        how = "Programs for Macs are compiled on a Mac: run `edgeq build` there."
    return Note("no-compiler", f"There is no compiler for {chain.target}: {chain.cxx} was not found.", how)
