"""Power of a whole laptop, from the gauge of its battery: true only while the battery alone feeds it.

Linux ``/sys/class/power_supply`` (Documentation/ABI/testing/sysfs-class-power). Drivers do not agree on the sign, so
the amount counts. What the battery gives is direct current, so its scope is the board and not the wall.
"""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import NamedTuple

from edgeq.access import Access
from edgeq.errors import MissingError
from edgeq.records import Channel
from edgeq.sensors import Sample, Sensor

_FOLDER = "sys/class/power_supply/*"
_J_PER_UWH = 3600e-6
_ACCURACY = "the battery's own gauge: no limits published"
# Typical of gauges that count in steps of 10 mWh.
_ENERGY_LSB_J = 36.0
_POLL_S = 0.5
_WATCH_S = 10.0
# A gauge that did not move twice while it was watched: those known take up to a minute.
_SLOWEST_S = 60.0


class _Battery(NamedTuple):
    """A battery that feeds the machine. ``start_uwh``: its energy when probed, None where it does not tell."""

    folder: Path
    has_power: bool
    start_uwh: float | None


class BatteryGauge(Sensor):
    """Reads power in W, and where there is one the counter of energy in J, of every battery."""

    period_s = _POLL_S

    def __init__(self, access: Access, batteries: list[_Battery], supplies: list[Path], update_period_s: float) -> None:
        self._access = access
        self._batteries = batteries
        self._supplies = supplies
        self.channels = tuple(c for b in batteries for c in _channels(b, update_period_s))

    def read(self) -> list[Sample]:
        """NaN in all channels while a charger is connected. Raises OSError or ValueError."""
        feeding = _feeding(self._access, [b.folder for b in self._batteries], self._supplies)
        values = [_values(self._access, b) for b in self._batteries]
        # A gauge that shows no power at all does not know it: the machine runs.
        true = feeding and any(power_w for power_w, *_ in values)
        return [Sample(i, v if true else math.nan) for i, v in enumerate(itertools.chain(*values))]


def probe(access: Access) -> BatteryGauge:
    """The batteries of this machine, if it runs on them now. Raises MissingError otherwise.

    Watches the gauge for up to ten seconds to learn how often it is updated.
    """
    # Mice and headsets have batteries too.
    all_of_them = [p for p in access.find(_FOLDER) if access.try_text(p / "scope") != "Device"]
    folders = [p for p in all_of_them if access.try_text(p / "type") == "Battery"]
    supplies = [p for p in all_of_them if p not in folders and access.try_text(p / "online") is not None]
    if not folders:
        raise MissingError("This machine has no battery that could tell its power.", "Use an external meter.")
    try:
        if not _feeding(access, folders, supplies):
            raise MissingError(
                "The battery is not discharging: its gauge does not show what the machine takes.",
                "Unplug the charger to measure on battery, or use an external meter.",
            )
        batteries = [_battery(access, folder) for folder in folders]
        if any(_values(access, b)[0] for b in batteries):
            return BatteryGauge(access, batteries, supplies, _update_period_s(access, batteries))
    except (OSError, ValueError):
        pass
    raise MissingError("The battery does not tell its power.", "Use an external meter.")


def _feeding(access: Access, folders: list[Path], supplies: list[Path]) -> bool:
    """Whether batteries, and nothing else, feed the machine. Of two batteries one may rest."""
    states = [access.text(f / "status") for f in folders]
    return (
        "Discharging" in states and "Charging" not in states and all(access.text(s / "online") == "0" for s in supplies)
    )


def _battery(access: Access, folder: Path) -> _Battery:
    try:
        start_uwh = access.number(folder / "energy_now")
    except (OSError, ValueError):
        start_uwh = None
    try:
        access.number(folder / "power_now")
    except (OSError, ValueError):
        access.number(folder / "current_now")
        access.number(folder / "voltage_now")
        return _Battery(folder, False, start_uwh)
    return _Battery(folder, True, start_uwh)


def _values(access: Access, battery: _Battery) -> list[float]:
    folder = battery.folder
    if battery.has_power:
        values = [abs(access.number(folder / "power_now")) / 1e6]
    else:
        values = [abs(access.number(folder / "current_now")) * access.number(folder / "voltage_now") / 1e12]
    if battery.start_uwh is not None:
        values.append((battery.start_uwh - access.number(folder / "energy_now")) * _J_PER_UWH)
    return values


def _update_period_s(access: Access, batteries: list[_Battery]) -> float:
    """The longest pause between changes of the readings; `_SLOWEST_S` where they hardly change."""
    changed_ns: list[int] = []
    last = None
    for _ in range(int(_WATCH_S / _POLL_S)):
        now = [_values(access, b)[0] for b in batteries]
        if now != last:
            changed_ns.append(access.clock())
            last = now
        if len(changed_ns) == 4:
            break
        access.sleep(_POLL_S)
    # The first look is not a change.
    pauses = [(after - before) / 1e9 for before, after in itertools.pairwise(changed_ns[1:])]
    return max(pauses, default=_SLOWEST_S)


def _channels(battery: _Battery, update_period_s: float) -> list[Channel]:
    name = battery.folder.name
    power = Channel(
        name=name,
        quantity="power",
        kind="gauge",
        unit="W",
        scope="board",
        update_period_s=update_period_s,
        accuracy=_ACCURACY,
        source=f"power_supply/{name}/{'power_now' if battery.has_power else 'current_now x voltage_now'}",
    )
    if battery.start_uwh is None:
        return [power]
    # The same energy as the integral of the power, so never added to it.
    energy = Channel(
        name=f"{name} energy",
        quantity="energy",
        kind="counter",
        unit="J",
        scope="board",
        update_period_s=update_period_s,
        lsb=_ENERGY_LSB_J,
        accuracy=f"{_ACCURACY}; steps of 36 J are typical",
        source=f"power_supply/{name}/energy_now",
        summand=False,
    )
    return [power, energy]
