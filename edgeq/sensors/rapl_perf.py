"""The same RAPL counters through Linux's perf events, for containers in which powercap is hidden.

The PMU ``power`` (arch/x86/events/rapl.c) counts 2^-32 J per processor package since the event was opened. The kernel
extends the counters to 64 bits, so they do not wrap.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgeq.access import Access
from edgeq.errors import DeniedError, MissingError
from edgeq.sensors import Sensor
from edgeq.sensors._rapl import Counter, Rapl, channel, moving

_PMU = "sys/bus/event_source/devices/power"
_EVENTS = {
    "energy-pkg": "package",
    "energy-ram": "dram",
    "energy-cores": "core",
    "energy-gpu": "uncore",
    "energy-psys": "psys",
}
# The number of the system call on x86-64.
_PERF_EVENT_OPEN = 298
_CLOEXEC = 8
# The first version of struct perf_event_attr: type, size, config; the rest stays 0, as this PMU knows no other setting.
_ATTR = struct.Struct("<IIQ48x")


class Perf:
    """perf_event_open, and reading what it has opened, through the C library.

    ``load("ctypes")`` gives the module, so that a test can put another kernel there.
    """

    def __init__(self, access: Access) -> None:
        self._ctypes: Any = access.load("ctypes")
        self._libc: Any = self._ctypes.CDLL(None, use_errno=True)
        self._fds: list[int] = []

    def open(self, kind: int, config: int, cpu: int) -> int:
        """A file descriptor that counts this event on this CPU, for all processes. Raises OSError."""
        attr = _ATTR.pack(kind, _ATTR.size, config)
        fd: int = self._libc.syscall(_PERF_EVENT_OPEN, attr, -1, cpu, -1, _CLOEXEC)
        if fd < 0:
            code = self._ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        self._fds.append(fd)
        return fd

    def count(self, fd: int) -> int:
        """What the event has counted. Raises OSError."""
        buffer = self._ctypes.create_string_buffer(8)
        if self._libc.read(fd, buffer, 8) != 8:
            raise OSError("the perf event can't be read")
        return int.from_bytes(buffer.raw, "little")

    def close(self) -> None:
        """Close all events."""
        while self._fds:
            self._libc.close(self._fds.pop())


def probe(access: Access) -> Sensor:
    """Counters, each summed over all packages. Raises MissingError where powercap gives them, or DeniedError."""
    folder = access.root / _PMU
    if access.try_text(folder / "type") is None or struct.calcsize("P") != 8:
        raise MissingError(
            "The kernel has no perf events for energy.",
            "x86 processors have them, under Linux and outside virtual machines.",
        )
    if any(access.try_text(p) for p in access.find("sys/class/powercap/intel-rapl*:*/energy_uj")):
        raise MissingError("powercap gives the same counters.", "Use the sensor rapl.")
    perf = Perf(access)
    try:
        return Rapl(moving(_counters(access, folder, perf), access), perf.close)
    except MissingError:
        perf.close()
        raise
    except (OSError, ValueError) as e:
        perf.close()
        if isinstance(e, PermissionError):
            raise DeniedError(
                "Energy events are here, and this user may not count them.",
                "Run `sudo sysctl kernel.perf_event_paranoid=0`, or give the program CAP_PERFMON"
                " (in a container: --cap-add PERFMON).",
            ) from None
        raise MissingError("The kernel's energy events can't be counted.", f"The reason: {e}.") from None


def _counters(access: Access, folder: Path, perf: Perf) -> list[Counter]:
    kind = int(access.text(folder / "type"))
    cpus = _cpus(access.text(folder / "cpumask"))
    counters = []
    for event, domain in _EVENTS.items():
        config = access.try_text(folder / "events" / event)
        if config is None or access.try_text(folder / "events" / f"{event}.unit") != "Joules":
            continue
        scale = float(access.text(folder / "events" / f"{event}.scale"))
        fds = [perf.open(kind, int(config.partition("=")[2], 0), cpu) for cpu in cpus]
        counters.append(Counter(domain, channel(domain, domain, f"perf power/{event}/"), _reader(perf, fds, scale)))
    return counters


def _reader(perf: Perf, fds: list[int], scale: float) -> Callable[[], float]:
    return lambda: sum(perf.count(fd) for fd in fds) * scale


def _cpus(mask: str) -> list[int]:
    """One CPU of every package: ``0,18`` or ``0-1``. Raises ValueError."""
    ranges = [part.partition("-") for part in mask.split(",")]
    return [cpu for first, _, last in ranges for cpu in range(int(first), int(last or first) + 1)]
