"""Temperatures, and whether the kernel slows a processor down because of them.

Thermal zones (``/sys/class/thermal``, m°C), and the processor's own sensors in hwmon where no zone shows them. A
cooling device in a state above 0 is throttling if it is a processor's: a fan that runs is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from edgeq.access import Access
from edgeq.errors import MissingError
from edgeq.records import Channel, Scope
from edgeq.sensors import Sample, Sensor
from edgeq.sensors._hwmon import devices, shown

_MOST_ZONES = 16
_PROCESSOR = re.compile(r"cpu|gpu|soc|tj|pkg|npu", re.IGNORECASE)
# Zones of a part without power say -256 °C or the kernel's "invalid", -274 °C.
_COLDEST_C = -100.0
# The zone of a Jetson's power chip always says this.
_DUMMY_C = 100.0
# Driver and the labels of its package sensors; AMD's Tctl is Tdie plus an offset on some processors.
_PACKAGE_SENSORS = {"coretemp": ("Package id",), "k10temp": ("Tdie", "Tctl"), "zenpower": ("Tdie", "Tctl")}
# ACPI's "Processor", cpufreq-cpu0, thermal-devfreq-0, intel_powerclamp, gpu-balanced, soc0-throttle-alert. Not TCC
# Offset, which is a setting, nor hot-surface-alert, which slows nothing down, nor any fan.
_SLOWS = re.compile(r"processor|cpu|gpu|devfreq|powerclamp|throttle", re.IGNORECASE)


class _Zone(NamedTuple):
    name: str
    path: Path
    scope: Scope


class Thermal(Sensor):
    """Reads temperatures in °C, and one flag for each kind of processor that can be slowed down."""

    period_s = 1.0

    def __init__(self, access: Access, zones: Sequence[_Zone], brakes: dict[str, list[Path]]) -> None:
        self._access = access
        self._zones = tuple(zones)
        self._brakes = tuple(brakes.values())
        temperatures = [
            Channel(
                name=zone.name,
                quantity="temperature",
                kind="gauge",
                unit="degC",
                scope=zone.scope,
                source=shown(access, zone.path),
            )
            for zone in zones
        ]
        flags = [
            Channel(
                name=f"thermal: {kind}",
                quantity="throttle",
                kind="gauge",
                unit="flag",
                scope="module",
                source=", ".join(shown(access, path) for path in paths),
            )
            for kind, paths in brakes.items()
        ]
        self.channels = (*temperatures, *flags)

    def read(self) -> list[Sample]:
        """What answers now; a part without power has no temperature. Raises OSError where nothing answers."""
        samples: list[Sample] = []
        for i, zone in enumerate(self._zones):
            celsius = _celsius(self._access, zone.path)
            if celsius is not None:
                samples.append(Sample(i, celsius))
        for i, paths in enumerate(self._brakes, start=len(self._zones)):
            states = [state for state in (self._access.try_number(path) for path in paths) if state is not None]
            if states:
                # intel_powerclamp says -1 while it does nothing.
                samples.append(Sample(i, float(max(states) > 0)))
        if not samples:
            raise OSError("No thermal zone gives a temperature.")
        return samples


def probe(access: Access) -> Thermal:
    """All zones that mean something. Raises MissingError where none gives a temperature."""
    zones = [*_zones(access), *_processors(access)]
    if not any(_celsius(access, zone.path) is not None for zone in zones):
        raise MissingError(
            "The kernel shows no temperature here, as in most virtual machines and containers.",
            "Throttling is judged from clocks and token rates alone.",
        )
    return Thermal(access, zones, _brakes(access))


def _zones(access: Access) -> list[_Zone]:
    found: list[_Zone] = []
    for folder in access.find("sys/class/thermal/thermal_zone*"):
        name, path = access.try_text(folder / "type"), folder / "temp"
        dummy = name and name.upper().startswith("PMIC") and _celsius(access, path) == _DUMMY_C
        # One that cannot be read now stays: a GPU without power at the start is what gets hot later.
        if name and not dummy:
            inside: Scope = "gpu" if "gpu" in name.lower() else "package" if _PROCESSOR.search(name) else "board"
            found.append(_Zone(name, path, inside))
    # Phones' processors have eighty of them.
    return sorted(found, key=lambda zone: not _PROCESSOR.search(zone.name))[:_MOST_ZONES]


def _processors(access: Access) -> Iterator[_Zone]:
    """The package sensors of x86, unless a zone shows the same."""
    if any(access.try_text(f / "type") == "x86_pkg_temp" for f in access.find("sys/class/thermal/thermal_zone*")):
        return
    for chip, folder in devices(access, _PACKAGE_SENSORS.keys()):
        inputs = {
            access.try_text(path) or "": path.with_name(path.name.replace("label", "input"))
            for path in sorted(folder.glob("temp*_label"))
        }
        named = ([n for n in inputs if n.startswith(label)] for label in _PACKAGE_SENSORS[chip])
        for name in next(filter(None, named), []):
            yield _Zone(f"{chip} {name}", inputs[name], "package")


def _brakes(access: Access) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for folder in access.find("sys/class/thermal/cooling_device*"):
        kind = access.try_text(folder / "type") or ""
        state = folder / "cur_state"
        if _SLOWS.search(kind) and access.try_number(state) is not None:
            found.setdefault(re.sub(r"-?\d+$", "", kind), []).append(state)
    return found


def _celsius(access: Access, path: Path) -> float | None:
    value = access.try_number(path)
    return None if value is None or value / 1e3 < _COLDEST_C else value / 1e3
