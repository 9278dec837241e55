"""Which sensors of the shelf can be read here, and why the others can't."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from edgeq import plugins
from edgeq.access import Access
from edgeq.errors import DeniedError, MissingError
from edgeq.records import Note
from edgeq.sensors import Sensor


@dataclass
class Instruments:
    """Open sensors by the name of their file, and the reason for every one that is not open."""

    sensors: dict[str, Sensor] = field(default_factory=dict)
    denied: dict[str, DeniedError] = field(default_factory=dict)
    absent: dict[str, MissingError] = field(default_factory=dict)

    @property
    def measure_power(self) -> bool:
        """Whether any of them gives energy or power."""
        return any(c.quantity in ("energy", "power") for s in self.sensors.values() for c in s.channels)

    @property
    def settle_s(self) -> float:
        """How long after a moment the slowest power sensor has told all about it; no more than 10 s."""
        power = [c for s in self.sensors.values() for c in s.channels if c.quantity in ("energy", "power")]
        return min(10.0, max((2 * ((c.update_period_s or 0.0) + (c.window_s or 0.0)) for c in power), default=0.0))

    def missing(self, names: tuple[str, ...] | None) -> tuple[Note, ...]:
        """Notes for a record: named sensors that are absent, those that are denied, and the lack of all power."""
        errors: dict[str, MissingError] = {
            **self.denied,
            **{n: self.absent[n] for n in names or () if n in self.absent},
        }
        notes = [Note(f"no-{name}", e.text, e.hint) for name, e in errors.items()]
        if not self.measure_power:
            notes.append(
                Note(
                    "no-power",
                    "Energy was not measured: no power sensor can be read here.",
                    "`edgeq doctor` says what was looked for, and how to use an external meter.",
                )
            )
        return tuple(notes)


@contextlib.contextmanager
def opened(access: Access) -> Iterator[Instruments]:
    """Probe the profile's sensors, or all of the shelf, and close them at the end."""
    found = Instruments()
    names = access.profile.sensors
    with contextlib.ExitStack() as stack:
        for name in plugins.modules("sensors") if names is None else names:
            probe_into(found, name, access)
            if name in found.sensors:
                stack.callback(found.sensors[name].close)
        yield found


def probe_into(found: Instruments, name: str, access: Access) -> None:
    """Probe one sensor and file the outcome."""
    try:
        found.sensors[name] = _named(plugins.module("sensors", name).probe(access), name)
    except DeniedError as e:
        found.denied[name] = e
    except MissingError as e:
        found.absent[name] = e


def _named(sensor: Sensor, name: str) -> Sensor:
    sensor.channels = tuple(msgspec.structs.replace(c, sensor=name) for c in sensor.channels)
    return sensor
