"""Power, temperature, clock and memory of AMD graphics, from the hwmon of the Linux driver amdgpu.

On an APU the power includes the processor cores (amdgpu_pm.c says so of both of its files): it is the same energy as
RAPL's package, seen a second time. Only APUs have a voltage labelled vddnb.
"""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Literal, NamedTuple

from edgeq.access import Access
from edgeq.errors import DeniedError, MissingError
from edgeq.records import Channel, Scope
from edgeq.sensors import Sample, Sensor
from edgeq.sensors._hwmon import devices, shown

_APU = "no limits published; includes the processor cores: the same energy as RAPL's package"
_CARD = "no limits published"
_IN_USE = "what the card has more in use than at first"


class _File(NamedTuple):
    """A file of the driver, and the channel that it becomes when multiplied by ``factor``."""

    path: str
    factor: float
    name: str
    quantity: Literal["power", "temperature", "frequency", "memory"]
    kind: Literal["gauge", "average"]
    unit: str


# The average comes first, as it sees what happens between two readings; its length is the firmware's, not published.
_FILES = (
    _File("power1_average", 1e-6, "power", "power", "average", "W"),
    _File("power1_input", 1e-6, "power", "power", "gauge", "W"),
    _File("temp1_input", 1e-3, "edge", "temperature", "gauge", "degC"),
    _File("freq1_input", 1.0, "sclk", "frequency", "gauge", "Hz"),
)
# Not for an APU, whose memory is the machine's own. The name stays the same for several cards, as their sum counts.
_VRAM = _File("device/mem_info_vram_used", 1.0, "vram_used", "memory", "gauge", "bytes")


class _Source(NamedTuple):
    """A channel with the file behind it: ``factor`` times its number, less ``before``.

    A card that is ``asleep`` can't be read for now.
    """

    channel: Channel
    path: Path
    factor: float
    before: float
    asleep: bool


class Amdgpu(Sensor):
    """Reads every card, in W, degC, Hz and bytes."""

    def __init__(self, access: Access, sources: list[_Source], wakes: bool) -> None:
        self._access = access
        self._sources = sources
        self.channels = tuple(s.channel for s in sources)
        self.wakes = wakes

    def read(self) -> list[Sample]:
        """What can be read: a card that is asleep gives nothing. Raises OSError or ValueError where none can."""
        samples = []
        fault: OSError | ValueError | None = None
        for i, source in enumerate(self._sources):
            try:
                samples.append(Sample(i, self._access.number(source.path) * source.factor - source.before))
            except (OSError, ValueError) as e:
                fault = e
        if fault is not None and not samples:
            raise fault
        self.trouble = str(fault or "")
        return samples


def probe(access: Access) -> Amdgpu:
    """All cards of the driver, also those asleep now. Raises MissingError without any, or DeniedError."""
    cards = [folder for _, folder in devices(access, {"amdgpu"})]
    if not cards:
        raise MissingError(
            "There is no AMD graphics card with the driver amdgpu.", "The driver is part of Linux; ROCm isn't needed."
        )
    sources: list[_Source] = []
    wakes = False
    for card in cards:
        # Before Linux 6.15 such a reading wakes a sleeping card, so its state comes first. Memory wakes nothing.
        slept = access.try_text(card / "device/power/runtime_status") == "suspended"
        mine = _sources(access, card, several=len(cards) > 1)
        wakes |= slept and any(not s.asleep for s in mine if s.channel.quantity != "memory")
        sources += mine
    if all(s.asleep for s in sources):
        raise MissingError(
            "The driver amdgpu gives no readings of this card.",
            "If the card is asleep, `echo on | sudo tee /sys/class/drm/card*/device/power/control` keeps it awake.",
        )
    return Amdgpu(access, sources, wakes)


def _sources(access: Access, card: Path, several: bool) -> list[_Source]:
    apu = access.try_text(card / "in1_label") == "vddnb"
    scope: Scope = "package" if apu else "gpu"
    address = (card / "device").resolve().name
    found: dict[str, _Source] = {}
    for file in _FILES if apu else (*_FILES, _VRAM):
        path = card / file.path
        if file.name in found or not (seen := _look(access, path)):
            continue
        vram = file is _VRAM
        channel = Channel(
            name=f"{file.name} {address}" if several and not vram else file.name,
            quantity=file.quantity,
            kind=file.kind,
            unit=file.unit,
            scope=scope,
            accuracy=_IN_USE if vram else (_APU if apu else _CARD) if file.quantity == "power" else None,
            source=f"amdgpu {address} {path.name}",
        )
        found[file.name] = _Source(channel, path, file.factor, seen.value if vram else 0.0, seen.asleep)
    return list(found.values())


class _Seen(NamedTuple):
    value: float
    asleep: bool


def _look(access: Access, path: Path) -> _Seen | None:
    """A first reading, which a card that is asleep refuses; None where the driver has no such file or no value."""
    try:
        return _Seen(access.number(path), False)
    except PermissionError as e:
        if e.errno == errno.EPERM:
            return _Seen(0.0, True)
        raise DeniedError(
            f"This user may not read {shown(access, path)}.",
            f"Run edgeq as root, or `sudo chmod a+r {shown(access, path)}`.",
        ) from None
    except (OSError, ValueError):
        return None
