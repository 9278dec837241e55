"""Clocks of processor and GPU, and how often and how long an x86 processor has slowed itself down.

cpufreq (kHz), devfreq of GPUs on a system-on-chip (Hz), and the throttling counters of Intel's processors.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from edgeq.access import Access
from edgeq.errors import MissingError
from edgeq.records import Channel
from edgeq.sensors import Sample, Sensor
from edgeq.sensors._hwmon import shown

# x86 has one policy for each thread.
_MOST_POLICIES = 16
# Names in device trees; ga10b, gv11b, gp10b and gm20b are Jetsons' GPUs.
_GPU = re.compile(r"gpu|ga10b|gv11b|gp10b|gm20b")


class _Meter(NamedTuple):
    """What one channel is: the sum of these files, times ``scale``."""

    channel: Channel
    files: tuple[Path, ...]
    scale: float


class Cpufreq(Sensor):
    """Reads clocks in Hz, and throttling since boot in events and seconds."""

    period_s = 0.5

    def __init__(self, access: Access, meters: Sequence[_Meter]) -> None:
        self._access = access
        self._meters = tuple(meters)
        self.channels = tuple(meter.channel for meter in meters)

    def read(self) -> list[Sample]:
        """What answers now (a core that is offline has no clock). Raises OSError where nothing does."""
        samples: list[Sample] = []
        for i, meter in enumerate(self._meters):
            values = [self._access.try_number(path) for path in meter.files]
            known = [value for value in values if value is not None]
            if len(known) == len(values):
                samples.append(Sample(i, sum(known) * meter.scale))
        if not samples:
            raise OSError("The kernel has stopped telling the clock of the processor.")
        return samples


def probe(access: Access) -> Cpufreq:
    """Everything that can be read here. Raises MissingError where there is neither a clock nor a counter."""
    found = [*_policies(access), *_gpus(access), *_throttling(access)]
    meters = [meter for meter in found if all(access.try_number(path) is not None for path in meter.files)]
    if not meters:
        raise MissingError(
            "The kernel does not tell the clock of the processor, as in most virtual machines and containers.",
            "There is nothing to do; throttling can then be seen from the token rates only.",
        )
    return Cpufreq(access, meters)


def _policies(access: Access) -> Iterator[_Meter]:
    policies = access.find("sys/devices/system/cpu/cpufreq/policy*")
    step = -(-len(policies) // _MOST_POLICIES) or 1
    for policy in policies[::step]:
        channel = Channel(
            name=policy.name,
            quantity="frequency",
            kind="gauge",
            unit="Hz",
            scope="package",
            lsb=1000.0,
            accuracy="what the kernel has set; firmware may run the cores slower",
            source=shown(access, policy / "scaling_cur_freq"),
        )
        yield _Meter(channel, (policy / "scaling_cur_freq",), 1e3)


def _gpus(access: Access) -> Iterator[_Meter]:
    gpus = [folder for folder in access.find("sys/class/devfreq/*") if _GPU.search(folder.name)]
    for folder in gpus:
        channel = Channel(
            name="gpu" if len(gpus) == 1 else folder.name,
            quantity="frequency",
            kind="gauge",
            unit="Hz",
            scope="gpu",
            lsb=1.0,
            accuracy="what the kernel has set",
            source=shown(access, folder / "cur_freq"),
        )
        yield _Meter(channel, (folder / "cur_freq",), 1.0)


def _throttling(access: Access) -> Iterator[_Meter]:
    """Both counters of both levels: the number grows when throttling begins, the time only when it has ended."""
    cpus = access.find("sys/devices/system/cpu/cpu[0-9]*")
    counting = [cpu for cpu in cpus if access.try_number(cpu / "thermal_throttle/core_throttle_count") is not None]
    packages = _one_of_each(access, counting, "physical_package_id")
    cores = _one_of_each(access, counting, "physical_package_id", "core_id")
    for level, members in (("package", packages), ("core", cores)):
        if members:
            # Seconds are the mean over the members, so that they never run faster than the clock.
            yield _counter(access, level, members, "count", "events", 1.0)
            yield _counter(access, level, members, "total_time_ms", "s", 1e-3 / len(members))


def _one_of_each(access: Access, cpus: Iterable[Path], *keys: str) -> list[Path]:
    """Logical processors, one for each that the topology tells apart by these keys: siblings repeat the counters."""
    found: dict[tuple[str | None, ...], Path] = {}
    for cpu in cpus:
        found.setdefault(tuple(access.try_text(cpu / "topology" / key) for key in keys), cpu)
    return list(found.values())


def _counter(access: Access, level: str, members: list[Path], what: str, unit: str, scale: float) -> _Meter:
    files = tuple(cpu / "thermal_throttle" / f"{level}_throttle_{what}" for cpu in members)
    channel = Channel(
        name=f"thermal ({level})",
        quantity="throttle",
        kind="counter",
        unit=unit,
        scope="package",
        lsb=scale,
        accuracy="counted by the kernel",
        source=f"{shown(access, files[0])} and {len(files) - 1} more" if len(files) > 1 else shown(access, files[0]),
    )
    return _Meter(channel, files, scale)
