"""NVIDIA machines: an H100 in a server, an RTX 3050 in a laptop, a Grace Hopper, a Jetson whose NVML says nothing.

Each is the real ``pynvml`` module (constants, structures, error classes) with the functions that would need a driver
put over it. Facts: NVIDIA's NVML reference; update and window times of arXiv 2312.02741; ring of 120 power samples.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pynvml

from tests.sysroots.machine import IDLE_S, LOAD_S, Machine, State, energy, state

H100_WATTS: dict[State, float] = {"idle": 70.0, "prefill": 620.0, "decode": 410.0}
LAPTOP_WATTS: dict[State, float] = {"idle": 4.0, "prefill": 60.0, "decode": 48.0}
MODULE_WATTS: dict[State, float] = {"idle": 180.0, "prefill": 800.0, "decode": 560.0}
# What the counters show at time 0: the driver was loaded long ago.
BEFORE_J = 5_000_000.0
# The driver's clock is the wall clock, in microseconds since 1970.
WALL_US = 1_790_000_000_000_000
# What another program has on the GPU all the time, and what the model takes from its loading on.
OTHER_BYTES = 600 * 2**20
MODEL_BYTES = 3 * 2**30
# The laptop's GPU gets too warm after a minute of prefill.
HOT_S = IDLE_S + LOAD_S + 60.0
RING = 120
# The process that is measured.
PID = 4242


def error(code: int) -> Exception:
    """What the binding raises for one of NVML's return codes."""
    return pynvml.NVMLError(code)


def _stepped(t_s: float, period_s: float) -> float:
    return math.floor(t_s / period_s + 1e-9) * period_s


class Nvml:
    """The module with one GPU. ``answers`` maps a function to what it gives; all others are Not Supported."""

    def __init__(self, machine: Machine, answers: dict[str, Callable[..., Any]]) -> None:
        self.machine = machine
        self.answers = answers
        self.fields: dict[tuple[int, int], Callable[[], tuple[int, float]]] = {}
        self.calls: list[str] = []
        self.failing: int | None = None
        self.is_open = False
        machine.modules["pynvml"] = self
        machine.file("proc/driver/nvidia/version", "NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.86.15\n")

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("nvmlDeviceGet"):
            return getattr(pynvml, name)
        return lambda *args: self._answer(name, *args)

    def nvmlInit(self) -> None:
        self.is_open = True

    def nvmlShutdown(self) -> None:
        self.is_open = False

    def _answer(self, name: str, *args: Any) -> Any:
        self.calls.append(name)
        if not self.is_open:
            raise error(pynvml.NVML_ERROR_UNINITIALIZED)
        if name == "nvmlDeviceGetCount":
            return 1
        if name == "nvmlDeviceGetHandleByIndex":
            return "handle"
        if self.failing is not None:
            raise error(self.failing)
        if name == "nvmlDeviceGetFieldValues":
            return [self._field(*wanted) for wanted in args[1]]
        if name not in self.answers:
            raise error(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return self.answers[name](*args[1:])

    def _field(self, field_id: int, scope_id: int) -> Any:
        field = pynvml.c_nvmlFieldValue_t(fieldId=field_id, scopeId=scope_id)
        # What lies in a value that was not set is undefined, and is not 0.
        field.value.ullVal = 0xDEADBEEF
        field.timestamp = self.now_us()
        if (field_id, scope_id) not in self.fields:
            field.nvmlReturn = pynvml.NVML_ERROR_NOT_SUPPORTED
            return field
        field.valueType, value = self.fields[field_id, scope_id]()
        name = {pynvml.NVML_VALUE_TYPE_UNSIGNED_INT: "uiVal", pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG: "ullVal"}
        field.value.ullVal = 0
        setattr(field.value, name[field.valueType], round(value))
        return field

    def now_us(self) -> int:
        return WALL_US + round(self.machine.t_s * 1e6)


def _counter_mj(machine: Machine, watts: dict[State, float]) -> Callable[[], int]:
    return lambda: round((BEFORE_J + energy(_stepped(machine.t_s, 0.1), watts)) * 1000)


def _ring(machine: Machine, watts: dict[State, float]) -> Callable[[int, int], Any]:
    def samples(kind: int, last: int) -> Any:
        assert kind == pynvml.NVML_TOTAL_POWER_SAMPLES
        newest = math.floor(machine.t_s / 0.02 + 1e-9)
        found = []
        for i in range(newest - RING + 1, newest + 1):
            sample = pynvml.c_nvmlSample_t(timeStamp=WALL_US + i * 20_000)
            sample.sampleValue.uiVal = round(watts[state(i * 0.02)] * 1000)
            if sample.timeStamp > last:
                found.append(sample)
        if not found:
            raise error(pynvml.NVML_ERROR_NOT_FOUND)
        return pynvml.NVML_VALUE_TYPE_UNSIGNED_INT, found

    return samples


def _instant(machine: Machine, watts: dict[State, float]) -> Callable[[], tuple[int, float]]:
    return lambda: (pynvml.NVML_VALUE_TYPE_UNSIGNED_INT, watts[state(_stepped(machine.t_s, 0.1))] * 1000)


def _last_second(machine: Machine, watts: dict[State, float]) -> Callable[[], int]:
    return lambda: round((energy(machine.t_s, watts) - energy(machine.t_s - 1, watts)) * 1000)


def _common(machine: Machine, capability: tuple[int, int], bus: int) -> dict[str, Callable[..., Any]]:
    def busy() -> bool:
        return state(machine.t_s) != "idle"

    return {
        "nvmlDeviceGetCudaComputeCapability": lambda: capability,
        "nvmlDeviceGetPciInfo": lambda: SimpleNamespace(domain=0, bus=bus, device=0),
        "nvmlDeviceGetTemperatureV": lambda sensor: 64 if busy() else 38,
        "nvmlDeviceGetClockInfo": lambda clock: 1755 if busy() else 345,
        "nvmlDeviceGetCurrentClocksEventReasons": lambda: (
            pynvml.nvmlClocksEventReasonNone if busy() else pynvml.nvmlClocksEventReasonGpuIdle
        ),
    }


def _process(pid: int, n_bytes: int | None) -> Any:
    return pynvml.nvmlFriendlyObject({"pid": pid, "usedGpuMemory": n_bytes})


def datacenter(machine: Machine, pid: int = PID) -> Nvml:
    """An H100: everything is answered, and memory is known for each process."""

    def processes() -> list[Any]:
        model = [_process(pid, MODEL_BYTES)] if machine.t_s >= IDLE_S else []
        return [_process(77, OTHER_BYTES), *model]

    nvml = Nvml(
        machine,
        {
            **_common(machine, (9, 0), 0x17),
            "nvmlDeviceGetTotalEnergyConsumption": _counter_mj(machine, H100_WATTS),
            "nvmlDeviceGetSamples": _ring(machine, H100_WATTS),
            "nvmlDeviceGetMemoryInfo": lambda: SimpleNamespace(used=sum(p.usedGpuMemory for p in processes())),
            "nvmlDeviceGetComputeRunningProcesses": processes,
        },
    )
    nvml.fields = {
        (pynvml.NVML_FI_DEV_POWER_INSTANT, 0): _instant(machine, H100_WATTS),
        (pynvml.NVML_FI_DEV_POWER_AVERAGE, 0): _instant(machine, H100_WATTS),
        (pynvml.NVML_FI_DEV_PERF_POLICY_POWER, 0): lambda: (pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG, 7.5e9),
        (pynvml.NVML_FI_DEV_PERF_POLICY_THERMAL, 0): lambda: (pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG, 0.0),
    }
    machine.file("sys/bus/pci/devices/0000:17:00.0/power/control", "on\n")
    return nvml


def laptop_gpu(machine: Machine) -> Nvml:
    """An RTX 3050 of a laptop, with an older driver: no fields, no ring, old names; it sleeps when it may.

    Windows' driver model and some containers do not tell processes apart: their memory is unknown, not 0.
    """
    hot = pynvml.nvmlClocksEventReasonSwThermalSlowdown | pynvml.nvmlClocksEventReasonSwPowerCap
    nvml = Nvml(
        machine,
        {
            **_common(machine, (8, 6), 0x01),
            "nvmlDeviceGetTotalEnergyConsumption": _counter_mj(machine, LAPTOP_WATTS),
            "nvmlDeviceGetPowerUsage": _last_second(machine, LAPTOP_WATTS),
            "nvmlDeviceGetMemoryInfo": lambda: SimpleNamespace(
                used=OTHER_BYTES + (MODEL_BYTES if machine.t_s >= IDLE_S else 0)
            ),
            "nvmlDeviceGetComputeRunningProcesses": lambda: [_process(PID, None)],
            "nvmlDeviceGetCurrentClocksThrottleReasons": lambda: hot if machine.t_s >= HOT_S else 0,
        },
    )
    nvml.answers["nvmlDeviceGetTemperature"] = nvml.answers.pop("nvmlDeviceGetTemperatureV")
    del nvml.answers["nvmlDeviceGetCurrentClocksEventReasons"]
    machine.file("sys/bus/pci/devices/0000:01:00.0/power/control", "auto\n")
    return nvml


def grace_hopper(machine: Machine) -> Nvml:
    """A GH200: the counter is the GPU's, but power is only given of the module, CPU included."""
    counter = {"nvmlDeviceGetTotalEnergyConsumption": _counter_mj(machine, H100_WATTS)}
    nvml = Nvml(machine, {**_common(machine, (9, 0), 0x09), **counter})
    scope = pynvml.NVML_POWER_SCOPE_MODULE
    nvml.fields = {(pynvml.NVML_FI_DEV_POWER_INSTANT, scope): _instant(machine, MODULE_WATTS)}
    machine.file("sys/bus/pci/devices/0000:09:00.0/power/control", "on\n")
    return nvml


def jetson_nvml(machine: Machine) -> Nvml:
    """A Jetson from JetPack 6 on: NVML starts, lists one GPU, and answers Not Supported to everything."""
    return Nvml(machine, {})
