"""Windows' Energy Meter Interface (emi.h): from Windows 11 on it hands out the processor's RAPL counters to everyone.

On Windows 10 only machines with metering hardware have it. Each value carries the time at which it was true.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

from edgeq.access import Access
from edgeq.errors import DeniedError, MissingError
from edgeq.records import Channel
from edgeq.sensors import Sample, Sensor, _rapl
from edgeq.sensors._device_clock import DeviceClock

_GET_VERSION = 0x224000
_GET_METADATA_SIZE = 0x224004
_GET_METADATA = 0x224008
_GET_MEASUREMENT = 0x22400C

_J_PER_PWH = 3.6e-9
_NS_PER_TICK = 100
_NAMES_BYTES = 2 * 16 * 2  # HardwareOEM and HardwareModel, 16 UTF-16 characters each.
_RAPL = re.compile(r"RAPL_Package\d+_(?P<domain>\w+)")
# AMD's drivers add one domain per core.
_KINDS = {"PKG": "package", "DRAM": "dram", "PP0": "core", "PP1": "uncore"}


class Measurement(NamedTuple):
    """EMI_CHANNEL_MEASUREMENT_DATA: picowatt-hours, and ticks of 100 ns of a clock whose zero is not defined."""

    energy_pwh: int
    time_ticks: int


class _Meter(NamedTuple):
    device: Any
    n_channels: int
    wanted: dict[int, int]  # its channel -> ours
    clock: DeviceClock


class EnergyMeters(Sensor):
    """Reads all counters of all meters at once, in joules."""

    period_s = _rapl.Rapl.period_s

    def __init__(self, access: Access, meters: list[_Meter], channels: tuple[Channel, ...]) -> None:
        self._access = access
        self._meters = meters
        self.channels = channels

    def read(self) -> list[Sample]:
        """Counters with their own times, on CLOCK_MONOTONIC. Raises OSError or ValueError where no meter answers."""
        samples: list[Sample] = []
        fault: OSError | ValueError | None = None
        for device, n_channels, wanted, clock in self._meters:
            try:
                values = _measure(device, n_channels)
            except (OSError, ValueError) as e:
                fault = fault or e
                continue
            received_ns = self._access.clock()
            clock.follow(max(v.time_ticks for v in values) * _NS_PER_TICK, received_ns)
            for theirs, ours in wanted.items():
                energy_pwh, ticks = values[theirs]
                samples.append(Sample(ours, energy_pwh * _J_PER_PWH, clock.host_ns(ticks * _NS_PER_TICK)))
        if fault is not None and not samples:
            raise fault
        self.trouble = str(fault or "")
        return samples

    def close(self) -> None:
        """Close all meters."""
        for meter in self._meters:
            meter.device.close()


def probe(access: Access) -> EnergyMeters:
    """A sensor for all energy meters of this Windows machine. Raises MissingError or DeniedError."""
    if access.platform != "win32":
        raise MissingError("This is not Windows.", "Windows' Energy Meter Interface is read on Windows only.")
    meters: list[_Meter] = []
    channels: list[Channel] = []
    faults: list[OSError | ValueError] = []
    seen: dict[str, int] = {}
    for device in _devices(access, faults):
        try:
            names = _channel_names(device)
            values = _measure(device, len(names))
        except (OSError, ValueError) as e:
            faults.append(e)
            device.close()
            continue
        wanted: dict[int, int] = {}
        for i, (name, (energy_pwh, _)) in enumerate(zip(names, values, strict=True)):
            # A domain that this processor does not have stands at 0.
            if energy_pwh and not _mirrored(name, energy_pwh, seen):
                seen[name] = energy_pwh
                wanted[i] = len(channels)
                channels.append(_channel(name))
        if wanted:
            meters.append(_Meter(device, len(names), wanted, DeviceClock()))
        else:
            device.close()
    if channels:
        return EnergyMeters(access, meters, tuple(channels))
    refused = next((e for e in faults if isinstance(e, PermissionError)), None)
    if refused is not None:
        raise DeniedError(
            f"Windows refuses to open its energy meters: {refused}.", "Run edgeq in a terminal opened as administrator."
        )
    raise MissingError(
        "This machine has no energy meter that answers" + (f": {faults[0]}." if faults else "."),
        "Windows 11 on a real machine has one for most processors; a virtual machine has none.",
    )


def _devices(access: Access, faults: list[OSError | ValueError]) -> Iterator[Any]:
    windows = access.load("edgeq.sensors._emi_device")
    try:
        paths = windows.paths()
    except OSError as e:
        faults.append(e)
        return
    for path in paths:
        try:
            yield windows.Device(path)
        except OSError as e:
            faults.append(e)


def channel_names(version: int, metadata: bytes) -> list[str]:
    """Names in EMI_METADATA_V1 or EMI_METADATA_V2. Raises ValueError for anything else.

    Version 1 describes one meter, version 2 a list of channels of different lengths; both count in picowatt-hours.
    """
    try:
        if version == 1:
            unit, size = struct.unpack_from(f"<I{_NAMES_BYTES}x2xH", metadata)
            fields = [(unit, size, struct.calcsize(f"<I{_NAMES_BYTES}x2xH"))]
        elif version == 2:
            (n_channels,) = struct.unpack_from(f"<{_NAMES_BYTES}x2xH", metadata)
            offset = struct.calcsize(f"<{_NAMES_BYTES}x2xH")
            fields = []
            for _ in range(n_channels):
                unit, size = struct.unpack_from("<IH", metadata, offset)
                fields.append((unit, size, offset + 6))
                offset += 6 + size
        else:
            raise ValueError(f"EMI version {version} is not known")
    except struct.error:
        raise ValueError("EMI metadata end too early") from None
    if any(unit != 0 for unit, _, _ in fields):
        raise ValueError("EMI: a meter counts in something other than picowatt-hours")
    if any(start + size > len(metadata) for _, size, start in fields):
        raise ValueError("EMI metadata end too early")
    return [metadata[start : start + size].decode("utf-16-le").partition("\0")[0] for _, size, start in fields]


def _channel_names(device: Any) -> list[str]:
    (version,) = _unpack("<H", device.ioctl(_GET_VERSION, 2))
    (n_bytes,) = _unpack("<I", device.ioctl(_GET_METADATA_SIZE, 4))
    return channel_names(version, device.ioctl(_GET_METADATA, n_bytes))


def _measure(device: Any, n_channels: int) -> list[Measurement]:
    answer = device.ioctl(_GET_MEASUREMENT, 16 * n_channels)
    values = _unpack(f"<{2 * n_channels}Q", answer)
    return [Measurement(*pair) for pair in zip(values[::2], values[1::2], strict=True)]


def _unpack(layout: str, answer: bytes) -> tuple[int, ...]:
    if len(answer) != struct.calcsize(layout):
        raise ValueError(f"EMI: {len(answer)} bytes where {struct.calcsize(layout)} were expected")
    return struct.unpack(layout, answer)


def _mirrored(name: str, energy_pwh: int, seen: dict[str, int]) -> bool:
    """Whether this counter was already seen: each die of a processor may show that of the whole socket.

    Between two looks some milliseconds apart, a counter grows by less than a joule.
    """
    alike = [energy for other, energy in seen.items() if other.rpartition("_")[2] == name.rpartition("_")[2]]
    return name in seen or any(abs(energy_pwh - e) <= max(1e-6 * e, 1 / _J_PER_PWH) for e in alike)


def _channel(name: str) -> Channel:
    """A meter that is not RAPL may see anything, and is added to nothing."""
    source = "IOCTL_EMI_GET_MEASUREMENT"
    if match := _RAPL.fullmatch(name):
        return _rapl.channel(_KINDS.get(match["domain"], "core"), name, source)
    return Channel(name, "energy", "counter", "J", "rail", accuracy="no limits published", source=source, summand=False)
