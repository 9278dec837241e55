"""Windows 11 with energy meters: drivers that answer emi.h's requests with bytes in its layouts.

A processor of two dies, each of which shows the counter of the whole socket; one meter is listed twice.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from types import SimpleNamespace

from tests.sysroots.machine import Machine, State, energy

PACKAGE_WATTS: dict[State, float] = {"idle": 6.0, "prefill": 54.0, "decode": 38.0}
CORES_WATTS: dict[State, float] = {"idle": 2.0, "prefill": 41.0, "decode": 25.0}
# What the counters show at time 0, and how far the drivers' clock is from anything else.
BEFORE_J = 740_000.0
CLOCK_S = 98_765.4321
PWH_PER_J = 1 / 3.6e-9


def _wide(text: str, n_chars: int = 0) -> bytes:
    return text.encode("utf-16-le").ljust(2 * n_chars, b"\0")


def metadata_v2(names: list[str], unit: int = 0) -> bytes:
    """EMI_METADATA_V2 with EMI_CHANNEL_V2 of different lengths behind one another, names with their final NUL."""
    channels = b"".join(struct.pack("<IH", unit, len(_wide(n + "\0"))) + _wide(n + "\0") for n in names)
    return _wide("Microsoft", 16) + _wide("RAPL", 16) + struct.pack("<HH", 1, len(names)) + channels


def metadata_v1(name: str) -> bytes:
    """EMI_METADATA_V1: one meter."""
    text = _wide(name + "\0")
    return struct.pack("<I", 0) + _wide("Surface", 16) + _wide("Rail", 16) + struct.pack("<HH", 1, len(text)) + text


class Windows:
    """Stands where edgeq.sensors._emi_device stands. ``lag_s``: how old a value is when it is handed out."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.lag_s = 0.0
        self.meters: dict[str, tuple[int, bytes, list[Callable[[float], float]]]] = {}
        self.refused: set[str] = set()
        self.is_dead = False
        self.n_open = 0
        machine.modules["edgeq.sensors._emi_device"] = self

    def paths(self) -> list[str]:
        return list(self.meters)

    def Device(self, path: str) -> SimpleNamespace:
        if path in self.refused:
            raise PermissionError(13, "Access is denied", path)
        self.n_open += 1
        return SimpleNamespace(ioctl=lambda code, n: self._ioctl(path, code)[:n], close=self._close)

    def _close(self) -> None:
        self.n_open -= 1

    def _ioctl(self, path: str, code: int) -> bytes:
        version, metadata, counters = self.meters[path]
        if code == 0x224000:
            return struct.pack("<H", version)
        if code == 0x224004:
            return struct.pack("<I", len(metadata))
        if code == 0x224008:
            return metadata
        assert code == 0x22400C
        if self.is_dead:
            raise OSError(31, "A device attached to the system is not functioning", path)
        t_s = self.machine.t_s - self.lag_s
        ticks = round((t_s + CLOCK_S) * 1e7)
        return b"".join(struct.pack("<QQ", round(counter(t_s) * PWH_PER_J), ticks) for counter in counters)


def windows(machine: Machine) -> Windows:
    """The machine, and the object to change it."""

    def package(t_s: float) -> float:
        return BEFORE_J + energy(t_s, PACKAGE_WATTS)

    def cores(t_s: float) -> float:
        return BEFORE_J / 3 + energy(t_s, CORES_WATTS)

    def nothing(t_s: float) -> float:
        return 0.0

    rapl = ["PKG", "PP0", "PP1", "DRAM"]
    counters = [package, cores, nothing, nothing]
    here = Windows(machine)
    here.meters = {
        r"\\?\acpi#rapl#0": (2, metadata_v2([f"RAPL_Package0_{d}" for d in rapl]), counters),
        r"\\?\acpi#rapl#1": (2, metadata_v2([f"RAPL_Package1_{d}" for d in rapl]), counters),
        r"\\?\acpi#rapl#2": (2, metadata_v2(["RAPL_Package0_PKG"]), [lambda t_s: 2 * package(t_s)]),
        r"\\?\acpi#metered#0": (1, metadata_v1("GPU rail"), [lambda t_s: 5000.0 + 3.0 * t_s]),
    }
    return here
