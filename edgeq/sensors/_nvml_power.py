"""Energy and power of one NVIDIA GPU: each function takes a first reading, or raises OSError."""

from __future__ import annotations

from typing import Any

from edgeq.records import Channel, Scope
from edgeq.sensors import Sample
from edgeq.sensors._device_clock import DeviceClock
from edgeq.sensors._nvml_device import Device, Reading

# arXiv 2312.02741: two boards of one model differ by as much, each of them linear.
_GAIN_ERROR = 0.05


def energy(device: Device, *, summand: bool) -> Reading:
    """Joules since the driver was loaded, Volta and newer."""
    source = "nvmlDeviceGetTotalEnergyConsumption"
    if device.call(source) == 0:
        raise OSError("NVML: the energy counter stands at 0")
    channel = Channel(
        name=f"gpu_energy{device.suffix}",
        quantity="energy",
        kind="counter",
        unit="J",
        scope="gpu",
        update_period_s=device.timing.update_period_s,
        lsb=0.001,
        accuracy=_accuracy(device),
        gain_error=_GAIN_ERROR,
        source=source,
        summand=summand,
    )
    return Reading((channel,), lambda: [Sample(0, device.call(source) / 1000)])


def power(device: Device, *, summand: bool) -> Reading:
    """Watts: the driver's own samples where it keeps them, else its value now, else its mean over 1 s."""
    for way in (_buffered, _from_field):
        try:
            return way(device, summand=summand)
        except OSError:
            continue
    return _power_usage(device, summand=summand)


def _buffered(device: Device, *, summand: bool) -> Reading:
    """The driver's own ring of power samples: about 120, each with its time, delivered late and many at once.

    Their clock is that of the fields' time stamps, so each reading of a field tells how far it is from the host's.
    """
    field, scope = _power_field(device)
    if scope != "gpu":
        raise OSError("NVML: no field gives the GPU's power")
    clock = DeviceClock()
    last = 0

    def read() -> list[Sample]:
        nonlocal last
        stamp = device.fields(field)[0]
        if stamp is not None and stamp.t_ns > 0:
            clock.follow(stamp.t_ns, device.access.clock())
        try:
            _, samples = device.call("nvmlDeviceGetSamples", device.nvml.NVML_TOTAL_POWER_SAMPLES, last)
        except FileNotFoundError:
            return []  # nothing new is an error to NVML
        new = [s for s in samples if s.timeStamp > last]
        last = max((s.timeStamp for s in new), default=last)
        return [
            Sample(0, s.sampleValue.uiVal / 1000, t_ns)
            for s in sorted(new, key=lambda s: int(s.timeStamp))
            if (t_ns := clock.host_ns(s.timeStamp * 1000)) is not None
        ]

    times = [s.t_ns for s in read() if s.t_ns is not None]
    if len(times) < 2:
        raise OSError("NVML: no time-stamped power samples")
    channel = _power(
        device,
        kind="gauge",
        update_period_s=(times[-1] - times[0]) / (len(times) - 1) / 1e9,
        window_s=device.timing.window_s,
        source="nvmlDeviceGetSamples(NVML_TOTAL_POWER_SAMPLES)",
        summand=summand,
    )
    return Reading((channel,), read)


def _from_field(device: Device, *, summand: bool) -> Reading:
    """Of a Grace Hopper module the driver may know only CPU and GPU together: another scope than the counter's."""
    field, scope = _power_field(device)
    instant = field[0] == device.nvml.NVML_FI_DEV_POWER_INSTANT

    def read() -> list[Sample]:
        answer = device.fields(field)[0]
        if answer is None:
            raise OSError("NVML: the driver gave no power")
        return [Sample(0, answer.value / 1000)]

    channel = _power(
        device,
        kind="gauge" if instant else "average",
        window_s=device.timing.window_s if instant else 1.0,
        source=f"nvmlDeviceGetFieldValues(NVML_FI_DEV_POWER_{'INSTANT' if instant else 'AVERAGE'})",
        summand=summand or scope == "module",
        scope=scope,
    )
    return Reading((channel,), read)


def _power_field(device: Device) -> tuple[tuple[int, int], Scope]:
    nvml = device.nvml
    scopes: tuple[tuple[int, Scope], ...] = (
        (nvml.NVML_POWER_SCOPE_GPU, "gpu"),
        (nvml.NVML_POWER_SCOPE_MODULE, "module"),
    )
    for scope_id, scope in scopes:
        for field_id in (nvml.NVML_FI_DEV_POWER_INSTANT, nvml.NVML_FI_DEV_POWER_AVERAGE):
            answer = device.fields((field_id, scope_id))[0]
            if answer is not None and answer.value > 0:  # A success with 0 W has been seen; it is no reading.
                return (field_id, scope_id), scope
    raise OSError("NVML: no field gives power")


def _power_usage(device: Device, *, summand: bool) -> Reading:
    source = "nvmlDeviceGetPowerUsage"
    if device.call(source) == 0:
        raise OSError("NVML: the power stands at 0")
    channel = _power(
        device,
        kind="average" if device.averages_power else "gauge",
        window_s=1.0 if device.averages_power else device.timing.window_s,
        source=source,
        summand=summand,
    )
    return Reading((channel,), lambda: [Sample(0, device.call(source) / 1000)])


def _power(device: Device, **more: Any) -> Channel:
    given = {
        "name": f"gpu_power{device.suffix}", "quantity": "power", "unit": "W", "scope": "gpu", "lsb": 0.001,
        "update_period_s": device.timing.update_period_s, "accuracy": _accuracy(device), "gain_error": _GAIN_ERROR,
    }  # fmt: skip
    return Channel(**{**given, **more})


def _accuracy(device: Device) -> str:
    period_s, window_s = device.timing
    text = f"±{_GAIN_ERROR:.0%} from board to board"
    if window_s is not None and window_s < period_s:
        text += f", from {window_s * 1000:.0f} ms out of every {period_s * 1000:.0f} ms"
    return f"{text} (arXiv 2312.02741)"
