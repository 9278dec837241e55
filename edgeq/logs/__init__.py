"""Shelf: recordings that other programs made, one file per kind, as traces.

Each has ``recognizes(data) -> bool`` and a pure ``parse``. Times are nanoseconds since the first line, or as they stand
in the file; they are no times of this machine's clock, and every channel says so (``clock: device``).
"""

from __future__ import annotations

from pathlib import Path

from edgeq.errors import InputError
from edgeq.logs import meter_log, powermetrics, tegrastats
from edgeq.records import Meter, Trace


def read(path: Path, meter: Meter | None = None, interval_s: float | None = None) -> tuple[Trace, ...]:
    """Traces of a recorded file, whose kind its content tells.

    ``meter``: what the file of an external meter holds and what that meter saw. ``interval_s``: time between two lines
    of tegrastats, where they carry no date. Raises InputError for a file that can't be read or is nothing of this.
    """
    try:
        data = path.read_bytes()
    except OSError as e:
        raise InputError(f"{path} can't be read: {e.strerror}.") from None
    if powermetrics.recognizes(data):
        return powermetrics.parse(data, path.name)
    if tegrastats.recognizes(data):
        return tegrastats.parse(data, path.name, interval_s)
    if meter is not None or meter_log.recognizes(data):
        return meter_log.parse(data, path.name, meter)
    raise InputError(
        f"{path} is no recording that edgeq knows.",
        "It reads what tegrastats prints, what powermetrics prints with --format plist, and tables of a power meter.",
    )
