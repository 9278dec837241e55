"""How often a Jetson has slowed itself down because of its supply.

Orin and Thor count such events (hwmon ``soctherm_oc``, since boot). Older modules only show whether the current of a
rail is above its limit now (alarms of ``ina3221``). Where there are counters the alarms are left alone: they miss what
happens between two readings, and each costs a register on the bus of the power monitor.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from edgeq.access import Access
from edgeq.errors import DeniedError, MissingError
from edgeq.records import Channel
from edgeq.sensors import Sample, Sensor
from edgeq.sensors._hwmon import devices, shown

_COUNTERS = {
    "oc1_event_cnt": "under-voltage",
    "oc2_event_cnt": "average over-current",
    "oc3_event_cnt": "instantaneous over-current",
}
_ALARMS = {"max_alarm": "average over-current", "crit_alarm": "instantaneous over-current"}


class Soctherm(Sensor):
    """Reads event counters, or alarms that are 1 while they last."""

    period_s = 0.5

    def __init__(self, access: Access, channels: Sequence[Channel], files: Sequence[Path]) -> None:
        self._access = access
        self._files = tuple(files)
        self.channels = tuple(channels)

    def read(self) -> list[Sample]:
        """Events since boot, or 0 and 1. Raises OSError where the firmware does not answer."""
        return [Sample(i, self._access.number(f)) for i, f in enumerate(self._files)]


def probe(access: Access) -> Soctherm:
    """Counters where there are any, else alarms. Raises MissingError, or DeniedError where this user may not read."""
    denied: Path | None = None
    for unit, found in (("events", list(_counters(access))), ("flag", list(_alarms(access)))):
        readable: list[tuple[Path, str]] = []
        for path, reason in found:
            try:
                access.number(path)
                readable.append((path, reason))
            except PermissionError:
                denied = denied or path
            except (OSError, ValueError):
                continue
        if readable:
            kind: Literal["counter", "gauge"] = "counter" if unit == "events" else "gauge"
            channels = [_channel(access, path, reason, kind, unit) for path, reason in readable]
            return Soctherm(access, channels, [path for path, _ in readable])
    if denied is not None:
        raise DeniedError(
            f"There is a counter of throttling, and this user may not read {shown(access, denied)}.",
            f"Until the next start: `sudo chmod a+r {shown(access, denied)}`.",
        )
    raise MissingError(
        "There is no counter of under-voltage and over-current.",
        "Only Jetsons have one; the clocks and temperatures are recorded everywhere.",
    )


def _counters(access: Access) -> Iterator[tuple[Path, str]]:
    for _, folder in devices(access, {"soctherm_oc"}):
        for name, reason in _COUNTERS.items():
            yield folder / name, reason


def _alarms(access: Access) -> Iterator[tuple[Path, str]]:
    for _, folder in devices(access, {"ina3221"}):
        for n in (1, 2, 3):
            label = access.try_text(folder / f"in{n}_label")
            if label and label != "NC":
                for name, reason in _ALARMS.items():
                    yield folder / f"curr{n}_{name}", f"{reason} ({label})"


def _channel(access: Access, path: Path, reason: str, kind: Literal["counter", "gauge"], unit: str) -> Channel:
    return Channel(
        name=reason,
        quantity="throttle",
        kind=kind,
        unit=unit,
        scope="module",
        lsb=1.0,
        accuracy="every event is counted" if kind == "counter" else "what falls between two readings is missed",
        source=shown(access, path),
    )
