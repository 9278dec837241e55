"""NVIDIA GPUs through NVML, the driver's own library (nvidia-ml-py, import name ``pynvml``).

The energy counter is what counts; power, temperature, clocks and the reasons for slowing down stand beside it. Every
call may wake a sleeping laptop GPU, so that idle phases are read at their edges where the GPU may sleep.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from edgeq.access import Access
from edgeq.errors import DeniedError, MissingError
from edgeq.sensors import Sample, Sensor
from edgeq.sensors._nvml_device import Device, Reading
from edgeq.sensors._nvml_power import energy, power
from edgeq.sensors._nvml_state import memory, slowdowns, sm_clock, temperature, violations

# What the driver leaves on Linux, in WSL and on Windows.
_TRACES = ("proc/driver/nvidia", "dev/nvidia0", "usr/lib/wsl/lib/libnvidia-ml.so.1", "Windows/System32/nvml.dll")


class Nvml(Sensor):
    """Reads everything that the GPUs of this machine answer."""

    # The counter moves every 0.1 s on most GPUs, and reading it has been seen to take 2 ms.
    period_s = 0.1

    def __init__(self, nvml: Any, parts: list[Reading], *, wakes: bool) -> None:
        self._nvml = nvml
        self._parts = parts
        self.wakes = wakes
        self.channels = tuple(channel for part in parts for channel in part.channels)

    def read(self) -> list[Sample]:
        """What answers now. Raises OSError, in NVML's words, where nothing does (a GPU that fell off the bus)."""
        samples: list[Sample] = []
        fault: OSError | None = None
        first = 0
        for part in self._parts:
            try:
                samples += [Sample(first + i, value, t_ns) for i, value, t_ns in part.read()]
            except OSError as e:
                fault = fault or e
            first += len(part.channels)
        if fault is not None and not samples:
            raise fault
        self.trouble = str(fault or "")
        return samples

    def follow(self, pid: int) -> None:
        """Memory is that of this process from now on, where the driver tells processes apart."""
        for part in self._parts:
            part.follow(pid)

    def close(self) -> None:
        """Shut NVML down."""
        with contextlib.suppress(self._nvml.NVMLError):
            self._nvml.nvmlShutdown()


def probe(access: Access) -> Nvml:
    """A sensor for all NVIDIA GPUs. Raises MissingError, or DeniedError where the driver refuses this user."""
    nvml = _library(access)
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as e:
        if e.value == nvml.NVML_ERROR_NO_PERMISSION:
            raise _denied(str(e)) from None
        raise _absent(access, f"An NVIDIA GPU is here, but its driver does not answer: {e}.", _DRIVER) from None
    faults: list[OSError] = []
    devices = _devices(nvml, access, faults)
    # One GPU without a counter, and a total of counters would be no total.
    counting = not faults and all(device.counts for device in devices)
    parts = [part for device in devices for part in _readings(device, counting, faults)]
    # Power that is read at the edges of a phase says nothing about it; a counter does.
    sensor = Nvml(nvml, parts, wakes=counting and any(device.may_sleep for device in devices))
    if parts:
        return sensor
    sensor.close()
    if any(isinstance(e, PermissionError) for e in faults):
        raise _denied(str(next(e for e in faults if isinstance(e, PermissionError))))
    if not faults:
        raise _absent(access, "The NVIDIA driver is here, and lists no GPU.", _DRIVER)
    raise MissingError(
        f"NVML answers, but gives no reading ({faults[0]}).",
        "This is so on a Jetson, whose rails are read by the `ina` sensor.",
    )


def _readings(device: Device, counting: bool, faults: list[OSError]) -> Iterator[Reading]:
    ways: tuple[Callable[[Device], Reading], ...] = (
        partial(energy, summand=counting),
        partial(power, summand=not counting),
        temperature,
        sm_clock,
        slowdowns,
        violations,
        memory,
    )
    for take in ways:
        try:
            yield take(device)
        except OSError as e:
            faults.append(e)


def _devices(nvml: Any, access: Access, faults: list[OSError]) -> list[Device]:
    devices: list[Device] = []
    try:
        n = nvml.nvmlDeviceGetCount()
    except nvml.NVMLError as e:
        faults.append(OSError(f"NVML: {e}"))
        return []
    for i in range(n):
        try:
            handle = nvml.nvmlDeviceGetHandleByIndex(i)
            devices.append(Device(nvml, handle, access, f":{i}" if n > 1 else ""))
        except nvml.NVMLError as e:
            faults.append(OSError(f"NVML: GPU {i}: {e}"))
    return devices


_DRIVER = "`nvidia-smi` has to work first; a container needs the GPU passed in (`docker run --gpus all`)."


def _library(access: Access) -> Any:
    try:
        return access.load("pynvml")
    except ImportError:
        text = "An NVIDIA GPU is here, and can be read with nvidia-ml-py."
        raise _absent(access, text, "pip install 'edgeq[nvidia]'") from None


def _absent(access: Access, text: str, hint: str) -> MissingError:
    if any((access.root / trace).exists() for trace in _TRACES):
        return MissingError(text, hint)
    return MissingError("No NVIDIA GPU is here.", "Nothing to do, unless there is one: then install its driver.")


def _denied(reason: str) -> DeniedError:
    return DeniedError(
        f"The NVIDIA driver refuses this user: {reason}.",
        "Give it access to /dev/nvidia*: `sudo usermod -aG video,render $USER`, then log in again.",
    )
