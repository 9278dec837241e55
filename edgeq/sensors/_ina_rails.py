"""Where the kernel shows the rails that TI's INA chips look at: three drivers with three sets of files and units."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from edgeq.access import Access
from edgeq.sensors._hwmon import devices
from edgeq.sensors._ina_chips import CHIPS

_NOT_CONNECTED = ("", "NC")
_THOR = "VDD_CPU_SOC_MSS"


class Register(NamedTuple):
    """A quantity in W or J: the product of what these files hold, times ``scale``."""

    files: tuple[Path, ...]
    scale: float

    def value(self, access: Access) -> float:
        """Raises OSError, or ValueError where a file holds no number."""
        return math.prod((access.number(f) for f in self.files), start=self.scale)


class Rail(NamedTuple):
    """One wire that a chip looks at. ``volts``: file with its voltage in mV; ``shunt``: one with the shunt in µΩ."""

    name: str
    chip: str
    folder: Path
    power: Register
    volts: Path
    shunt: Path | None = None
    energy: Register | None = None


def rails(access: Access) -> Iterator[Rail]:
    """Every rail of every chip, whether it can be read or not."""
    triple = [*_ina3221x(access), *_ina3221(access)]
    yield from triple
    thor = any(rail.name == _THOR for rail in triple)
    for chip, folder in devices(access, CHIPS.keys() - {"ina3221"}):
        # The carrier of AGX Thor measures its input with an INA238.
        unnamed = "VIN" if thor and chip == "ina238" else chip
        energy = folder / "energy1_input"
        yield Rail(
            name=_label(access, folder) or unnamed,
            chip=chip,
            folder=folder,
            power=Register((folder / "power1_input",), 1e-6),
            volts=folder / "in1_input",
            shunt=folder / "shunt_resistor",
            energy=Register((energy,), 1e-6) if access.try_number(energy) is not None else None,
        )


def _ina3221(access: Access) -> list[Rail]:
    """Mainline: V and I one after the other. in4 to in7 are voltages over the shunts and their sum."""
    found = [
        (access.try_text(folder / f"in{n}_label"), n, folder)
        for _, folder in devices(access, {"ina3221"})
        for n in (1, 2, 3)
    ]
    # Where some have labels, one that has none leads nowhere.
    labeled = any(label is not None for label, _, _ in found)
    return [
        Rail(
            name=f"ch{n}" if label is None else label,
            chip="ina3221",
            folder=folder,
            power=Register((folder / f"in{n}_input", folder / f"curr{n}_input"), 1e-6),
            volts=folder / f"in{n}_input",
            shunt=folder / f"shunt{n}_resistor",
        )
        for label, n, folder in found
        if (not labeled if label is None else label not in _NOT_CONNECTED)
    ]


def _ina3221x(access: Access) -> list[Rail]:
    """NVIDIA's driver in L4T 4.x: power in mW."""
    found = [
        (access.try_text(folder / f"rail_name_{n}"), n, folder)
        for folder in access.find("sys/bus/i2c/drivers/ina3221x/*/iio:device*")
        for n in (0, 1, 2)
    ]
    return [
        Rail(
            name=label,
            chip="ina3221",
            folder=folder,
            power=Register((folder / f"in_power{n}_input",), 1e-3),
            volts=folder / f"in_voltage{n}_input",
        )
        for label, n, folder in found
        if label is not None and label not in _NOT_CONNECTED
    ]


def _label(access: Access, folder: Path) -> str:
    texts = (access.try_text(folder / name) for name in ("label", "power1_label", "in1_label", "of_node/label"))
    return next((text.strip("\0 ") for text in texts if text), "")
