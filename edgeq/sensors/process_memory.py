"""Memory of the measured process: what it must have (anonymous) and what the kernel may take back (file pages).

Linux ``/proc/PID/status``. A memory-mapped model is counted under file pages until llama.cpp repacks it, which
copies the weights into anonymous memory.
"""

from __future__ import annotations

from pathlib import Path

from edgeq.errors import MissingError
from edgeq.records import Channel

_PERIOD_S = 0.2


class ProcessMemory:
    """Reads the two kinds of resident memory of one process, in bytes."""

    channels = tuple(
        Channel(
            name=name,
            quantity="memory",
            kind="gauge",
            unit="bytes",
            scope="process",
            update_period_s=_PERIOD_S,
            lsb=1024.0,
            accuracy="exact to a page",
        )
        for name in ("rss_anon", "rss_file")
    )

    def __init__(self, status: Path) -> None:
        self._status = status

    def read(self) -> tuple[float | None, ...]:
        """(anonymous + shared + swapped, file-backed) resident bytes, or Nones once the process is gone."""
        fields: dict[str, float] = {}
        try:
            for line in self._status.read_text().splitlines():
                key, _, value = line.partition(":")
                if key in ("RssAnon", "RssFile", "RssShmem", "VmSwap"):
                    fields[key] = float(value.split()[0]) * 1024
        except OSError:
            return None, None
        if "RssAnon" not in fields or "RssFile" not in fields:
            return None, None
        return fields["RssAnon"] + fields.get("RssShmem", 0) + fields.get("VmSwap", 0), fields["RssFile"]


def probe(pid: int, root: Path = Path("/")) -> ProcessMemory:
    """A sensor for process ``pid``. Raises MissingError where the kernel does not tell."""
    sensor = ProcessMemory(root / f"proc/{pid}/status")
    if None in sensor.read():
        raise MissingError(
            "The kernel does not tell how the memory of a process is made up.",
            "Only Linux does; the peak of resident memory is measured everywhere.",
        )
    return sensor
