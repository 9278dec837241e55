"""Memory of the measured process: what it must have (anonymous) and what the kernel may take back (file pages).

Linux ``/proc/PID/status``. A memory-mapped model is counted under file pages until llama.cpp repacks it, which
copies the weights into anonymous memory.
"""

from __future__ import annotations

from pathlib import Path

from edgeq.access import Access
from edgeq.errors import MissingError
from edgeq.records import Channel
from edgeq.sensors import Sample, Sensor

_PERIOD_S = 0.2


class ProcessMemory(Sensor):
    """Reads the two kinds of resident memory of one process, in bytes."""

    period_s = _PERIOD_S

    def __init__(self, access: Access) -> None:
        self._access = access
        self._status = None if access.pid is None else _status(access, access.pid)
        self.channels = tuple(
            Channel(
                name=name,
                quantity="memory",
                kind="gauge",
                unit="bytes",
                scope="process",
                update_period_s=_PERIOD_S,
                lsb=1024.0,
                accuracy="exact to a page",
                source="/proc/PID/status",
            )
            for name in ("rss_anon", "rss_file")
        )

    def read(self) -> list[Sample]:
        """(anonymous + shared + swapped, file-backed) resident bytes; nothing before the process and after it."""
        return [] if self._status is None else _read(self._access, self._status)

    def follow(self, pid: int) -> None:
        """From now on this process."""
        self._status = _status(self._access, pid)


def probe(access: Access) -> ProcessMemory:
    """A sensor for the measured process. Raises MissingError where the kernel does not tell."""
    if not _read(access, _status(access, access.pid)):
        raise MissingError(
            "The kernel does not tell how the memory of a process is made up.",
            "Only Linux does; the peak of resident memory is measured everywhere.",
        )
    return ProcessMemory(access)


def _status(access: Access, pid: int | None) -> Path:
    return access.root / "proc" / ("self" if pid is None else str(pid)) / "status"


def _read(access: Access, status: Path) -> list[Sample]:
    fields: dict[str, float] = {}
    for line in (access.try_text(status) or "").splitlines():
        key, _, value = line.partition(":")
        if key in ("RssAnon", "RssFile", "RssShmem", "VmSwap"):
            fields[key] = float(value.split()[0]) * 1024
    if "RssAnon" not in fields or "RssFile" not in fields:
        return []
    return [
        Sample(0, fields["RssAnon"] + fields.get("RssShmem", 0) + fields.get("VmSwap", 0)),
        Sample(1, fields["RssFile"]),
    ]
