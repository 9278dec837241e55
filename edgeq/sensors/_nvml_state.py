"""Temperature, clock, throttling and memory of one NVIDIA GPU: each takes a first reading, or raises OSError."""

from __future__ import annotations

from edgeq.records import Channel
from edgeq.sensors import Sample
from edgeq.sensors._nvml_device import Device, Reading


def temperature(device: Device) -> Reading:
    """Degrees Celsius of the die."""
    args = (device.nvml.NVML_TEMPERATURE_GPU,)
    source = device.answering("nvmlDeviceGetTemperatureV", "nvmlDeviceGetTemperature", args=args)
    channel = Channel(f"gpu_temperature{device.suffix}", "temperature", "gauge", "degC", "gpu", lsb=1.0, source=source)
    return Reading((channel,), lambda: [Sample(0, float(device.call(source, *args)))])


def sm_clock(device: Device) -> Reading:
    """Hertz of the streaming multiprocessors."""
    source = "nvmlDeviceGetClockInfo"
    device.call(source, device.nvml.NVML_CLOCK_SM)
    channel = Channel(f"gpu_sm_clock{device.suffix}", "frequency", "gauge", "Hz", "gpu", lsb=1e6, source=source)
    return Reading((channel,), lambda: [Sample(0, device.call(source, device.nvml.NVML_CLOCK_SM) * 1e6)])


def slowdowns(device: Device) -> Reading:
    """Why the clocks are held down at this moment; being idle and the user's own settings are no reasons."""
    nvml = device.nvml
    # Throttle reasons until driver 535.
    source = device.answering("nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons")
    reasons = {
        "power cap": nvml.nvmlClocksEventReasonSwPowerCap,
        "hardware slowdown": nvml.nvmlClocksEventReasonHwSlowdown,
        "software thermal slowdown": nvml.nvmlClocksEventReasonSwThermalSlowdown,
        "hardware thermal slowdown": nvml.nvmlClocksEventReasonHwThermalSlowdown,
        "power brake": nvml.nvmlClocksEventReasonHwPowerBrakeSlowdown,
    }
    channels = tuple(
        Channel(f"{reason}{device.suffix}", "throttle", "gauge", "flag", "gpu", source=source) for reason in reasons
    )

    def read() -> list[Sample]:
        now = device.call(source)
        return [Sample(i, 1.0 if now & bit else 0.0) for i, bit in enumerate(reasons.values())]

    return Reading(channels, read)


def violations(device: Device) -> Reading:
    """Seconds for which the clocks were held down since the driver was loaded."""
    policies = {
        "power violation": device.nvml.NVML_FI_DEV_PERF_POLICY_POWER,
        "thermal violation": device.nvml.NVML_FI_DEV_PERF_POLICY_THERMAL,
    }
    wanted = [(field, 0) for field in policies.values()]
    if None in device.fields(*wanted):
        raise OSError("NVML: no violation counters")
    channels = tuple(
        Channel(
            f"{policy}{device.suffix}", "throttle", "counter", "s", "gpu", lsb=1e-9, source="nvmlDeviceGetFieldValues"
        )
        for policy in policies
    )

    def read() -> list[Sample]:
        # Nanoseconds, as the fields that NVML names as their successors say.
        return [Sample(i, a.value / 1e9) for i, a in enumerate(device.fields(*wanted)) if a is not None]

    return Reading(channels, read)


def memory(device: Device) -> Reading:
    """Bytes of the GPU's own memory. A GPU that shares the machine's memory answers Not Supported."""
    vram = _Vram(device)
    channel = Channel(
        name="vram_used",
        quantity="memory",
        kind="gauge",
        unit="bytes",
        scope="gpu",
        accuracy="of the measured process where the driver lists it, else what the GPU has more in use than at first",
        source=f"nvmlDeviceGetComputeRunningProcesses, nvmlDeviceGetMemoryInfo{device.suffix}",
    )
    return Reading((channel,), vram.read, vram.follow)


class _Vram:
    def __init__(self, device: Device) -> None:
        self._device = device
        self._before: int = device.call("nvmlDeviceGetMemoryInfo").used
        self._pid = device.access.pid
        self._listed = False

    def follow(self, pid: int) -> None:
        self._pid = pid

    def read(self) -> list[Sample]:
        own = self._own()
        if own is not None:
            self._listed = True
            return [Sample(0, float(own))]
        if self._listed:
            return []
        return [Sample(0, float(self._device.call("nvmlDeviceGetMemoryInfo").used - self._before))]

    def _own(self) -> int | None:
        """None on WDDM, MIG and in containers, where NVML does not tell processes apart, or not by our numbers."""
        if self._pid is None:
            return None
        try:
            processes = self._device.call("nvmlDeviceGetComputeRunningProcesses")
        except OSError:
            return None
        return next((p.usedGpuMemory for p in processes if p.pid == self._pid), None)
