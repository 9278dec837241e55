"""Memory of the whole machine: what is left of it, and the peak of the control group that the measured process is in.

Linux: ``/proc/meminfo`` and control groups, version 2 or 1, also where both are mounted and memory is left to
version 1. Jetson's kernel adds what its GPU has of the shared memory (NvMapMemUsed).
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from edgeq.access import Access
from edgeq.errors import DeniedError, MissingError
from edgeq.records import Channel
from edgeq.sensors import Sample, Sensor

_PERIOD_S = 0.2
_AVAILABLE = "MemAvailable"
_NVMAP = "NvMapMemUsed"
# Where the memory controller is mounted, and its (usage, peak): Documentation/admin-guide/cgroup-v2.rst and cgroup-v1.
_V2 = ("sys/fs/cgroup", "memory.current", "memory.peak")
_V1 = ("sys/fs/cgroup/memory", "memory.usage_in_bytes", "memory.max_usage_in_bytes")


@dataclass(frozen=True)
class _Group:
    """A control group. Its peak is as old as the group itself: what it was before the measurement does not count."""

    access: Access
    usage: Path
    peak: Path
    earlier_peak: float | None

    def peak_bytes(self) -> float:
        """The highest usage since the measurement began, or the present one where the kernel tells no new peak."""
        usage = self.access.number(self.usage)
        if self.earlier_peak is None:
            return usage
        peak = self.access.number(self.peak)
        return peak if peak > self.earlier_peak else usage


class SystemMemory(Sensor):
    """Reads available memory, the control group's peak and a Jetson GPU's share, in bytes."""

    period_s = _PERIOD_S

    def __init__(self, access: Access) -> None:
        """Raises OSError without a /proc/meminfo, and ValueError where it does not tell what is available."""
        self._access = access
        self._meminfo = access.root / "proc/meminfo"
        fields = self._fields()
        if _AVAILABLE not in fields:
            raise ValueError(f"{self._meminfo} has no {_AVAILABLE}")
        self._group = _group(access, access.pid)
        self._following = False
        channels = {_AVAILABLE: _meminfo_channel("available", _AVAILABLE)}
        if _NVMAP in fields:
            channels[_NVMAP] = _meminfo_channel("nvmap_used", _NVMAP)
        self._keys = tuple(channels)
        self.channels = tuple(channels.values())
        if self._group is not None:
            self.channels += (_group_channel(self._group),)

    def read(self) -> list[Sample]:
        """One value per channel; of the control group only while a process is followed: its peak is never another's."""
        fields = self._fields()
        samples = [Sample(i, fields[key]) for i, key in enumerate(self._keys) if key in fields]
        if self._group is not None and self._following:
            with contextlib.suppress(OSError, ValueError):
                samples.append(Sample(len(self._keys), self._group.peak_bytes()))
        return samples

    def follow(self, pid: int) -> None:
        """The peak is that of this process's own group, from now on."""
        self._following = True
        if self._group is not None:
            self._group = _group(self._access, pid)

    def leave(self) -> None:
        """The group's peak would be taken for that of the next process."""
        self._following = False

    def _fields(self) -> dict[str, float]:
        fields: dict[str, float] = {}
        for line in self._access.text(self._meminfo).splitlines():
            key, _, value = line.partition(":")
            if key in (_AVAILABLE, _NVMAP):
                fields[key] = float(value.split()[0]) * 1024
        return fields


def probe(access: Access) -> SystemMemory:
    """A sensor for this machine. Raises MissingError where it is not Linux, DeniedError in a sandbox without /proc."""
    try:
        return SystemMemory(access)
    except PermissionError as e:
        raise DeniedError(
            "/proc/meminfo may not be read here.", "Run edgeq outside of the sandbox or container that hides /proc."
        ) from e
    except (OSError, ValueError) as e:
        raise MissingError(
            "The kernel does not tell how much memory is available.",
            "Only Linux does, from 3.14 on; the process's own memory is measured everywhere.",
        ) from e


def _group(access: Access, pid: int | None) -> _Group | None:
    """The control group that accounts for a process's memory; None in the root group, which is the whole machine."""
    text = access.try_text(access.root / "proc" / ("self" if pid is None else str(pid)) / "cgroup") or ""
    paths: dict[str, str] = {}
    for line in text.splitlines():  # ID:CONTROLLERS:PATH
        controllers, _, path = line.partition(":")[2].partition(":")
        paths.update(dict.fromkeys(controllers.split(","), path))
    # Where version 1 has the memory controller, the group of version 2 (whose list of names is empty) has none.
    mount, usage, peak = _V1 if "memory" in paths else _V2
    own = paths.get("memory", paths.get(""))
    if own is None or (mount == _V1[0] and own == "/"):
        return None
    # In a container the path may be the host's, while the mount shows the container's own group.
    for folder in (access.root / mount / own.lstrip("/"), access.root / mount):
        with contextlib.suppress(OSError, ValueError):
            access.number(folder / usage)
            return _Group(access, folder / usage, folder / peak, access.try_number(folder / peak))
    return None


def _meminfo_channel(name: str, key: str) -> Channel:
    if key == _AVAILABLE:  # Documentation/filesystems/proc.rst calls it an estimate
        accuracy, estimated = "the kernel's estimate of what could be had without swapping", True
    else:
        accuracy, estimated = "as the kernel's allocator counts it", False
    return _channel(name, accuracy, f"/proc/meminfo {key}", lsb=1024.0, estimated=estimated)


def _group_channel(group: _Group) -> Channel:
    kind = "exact" if group.earlier_peak is not None else "the highest of the samples, as this kernel keeps no peak"
    accuracy = (
        f"{kind}; counts every process of the group and the page cache, of which each page is charged to the group "
        "that read it first: a model read by another group before does not count"
    )
    return _channel("cgroup_peak", accuracy, str(group.peak if group.earlier_peak is not None else group.usage))


def _channel(name: str, accuracy: str, source: str, *, lsb: float | None = None, estimated: bool = False) -> Channel:
    return Channel(
        name=name,
        quantity="memory",
        kind="gauge",
        unit="bytes",
        scope="system",
        update_period_s=_PERIOD_S,
        lsb=lsb,
        accuracy=accuracy,
        estimated=estimated,
        source=source,
        summand=False,
    )
