"""NVIDIA GPUs through fakes of the real binding: energies by hand, and what must never be a reading."""

from __future__ import annotations

from array import array
from itertools import pairwise
from pathlib import Path
from typing import Any

import pynvml
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.errors import DeniedError, MissingError
from edgeq.recorder import Recorder
from edgeq.records import Channel
from edgeq.sensors import Sensor, nvml
from edgeq.sensors._device_clock import DeviceClock
from tests.sysroots import nvidia
from tests.sysroots.machine import DECODE_S, IDLE_S, PREFILL_S, START_NS, Machine, state


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def values(sensor: Sensor) -> dict[str, float]:
    return {sensor.channels[s.channel].name: s.value for s in sensor.read()}


def channel(sensor: Sensor, name: str) -> Channel:
    return next(c for c in sensor.channels if c.name == name)


def recorded(recorder: Recorder, name: str) -> list[tuple[int, float]]:
    """Samples of a channel, empty where there is no trace."""
    for trace in recorder.traces():
        if trace.channel.name == name:
            return list(zip(array("q", trace.t_ns_i64), array("d", trace.value_f64), strict=True))
    return []


def test_the_energy_counter_is_millijoules(machine: Machine) -> None:
    nvidia.datacenter(machine)
    sensor = nvml.probe(machine.access())
    machine.t_s = PREFILL_S
    before = values(sensor)["gpu_energy"]
    machine.t_s = DECODE_S
    used_j = values(sensor)["gpu_energy"] - before
    assert used_j == pytest.approx(nvidia.H100_WATTS["prefill"] * (DECODE_S - PREFILL_S), rel=1e-9)


def test_driver_samples_say_when_they_were_true_though_they_come_late(machine: Machine) -> None:
    nvidia.datacenter(machine)
    sensor = nvml.probe(machine.access())
    recorder = Recorder({"nvml": sensor}, machine.access())
    power = channel(sensor, "gpu_power")
    assert power.update_period_s == pytest.approx(0.02, rel=1e-3)
    assert power.kind == "gauge"
    for t_s in (PREFILL_S - 1.013, PREFILL_S + 0.519, PREFILL_S + 2.777):
        machine.t_s = t_s
        recorder.sample(everything=True)
    samples = recorded(recorder, "gpu_power")
    times = [t for t, _ in samples]
    assert len(samples) > 150  # Three readings.
    assert all(abs(b - a - 20_000_000) <= 1000 for a, b in pairwise(times))
    assert all(t <= machine.clock() for t in times)
    assert all(w == nvidia.H100_WATTS[state(round((t - START_NS) / 1e9, 6))] for t, w in samples)


def test_nothing_new_in_the_ring_is_no_failure(machine: Machine) -> None:
    nvidia.datacenter(machine)
    sensor = nvml.probe(machine.access())
    assert "gpu_power" not in values(sensor)  # All that the ring held came with the probe.
    assert "gpu_energy" in values(sensor)


@given(
    delays=st.lists(st.integers(0, 300_000_000), min_size=1, max_size=40),
    drift=st.integers(-400, 400),
    zero=st.integers(-(10**18), 10**18),
)
def test_a_device_clock_is_known_as_well_as_its_quickest_answer(delays: list[int], drift: int, zero: int) -> None:
    clock = DeviceClock()
    bound_ns = None
    for i, delay in enumerate(delays):
        true_ns = 10**12 + i * 100_000_000
        device_ns = zero + true_ns + true_ns * drift // 10**6
        clock.follow(device_ns, true_ns + delay)
        # What an earlier answer promised, less what both clocks may have drifted since.
        aged = None if bound_ns is None else bound_ns + 2 * 500e-6 * (100_000_000 + 300_000_000)
        bound_ns = delay if aged is None else min(delay, aged)
        host_ns = clock.host_ns(device_ns)
        assert host_ns is not None
        assert -0.001 * 300_000_000 * (i + 1) - 1 <= host_ns - true_ns <= bound_ns + 1


def test_power_beside_a_counter_is_not_added_to_it(machine: Machine) -> None:
    fake = nvidia.datacenter(machine)
    sensor = nvml.probe(machine.access())
    assert [c.name for c in sensor.channels if c.summand and c.quantity in ("energy", "power")] == ["gpu_energy"]
    del fake.answers["nvmlDeviceGetTotalEnergyConsumption"]  # Pascal and older.
    sensor = nvml.probe(machine.access())
    assert [c.name for c in sensor.channels if c.summand and c.quantity in ("energy", "power")] == ["gpu_power"]


def test_one_gpu_without_a_counter_makes_power_the_total_of_all(machine: Machine, monkeypatch: Any) -> None:
    fake = nvidia.datacenter(machine)
    answer = fake._answer

    def two(name: str, *args: Any) -> Any:
        if name == "nvmlDeviceGetCount":
            return 2
        if name == "nvmlDeviceGetHandleByIndex":
            return f"handle {args[0]}"
        if name == "nvmlDeviceGetTotalEnergyConsumption" and args[0] == "handle 1":
            raise nvidia.error(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return answer(name, *args)

    monkeypatch.setattr(fake, "_answer", two)
    sensor = nvml.probe(machine.access())
    totals = {c.name for c in sensor.channels if c.summand and c.quantity in ("energy", "power")}
    assert totals == {"gpu_power:0", "gpu_power:1"}
    assert len(set(sensor.channels)) == len(sensor.channels)
    assert [c.name for c in sensor.channels if c.quantity == "memory"] == ["vram_used", "vram_used"]


@pytest.mark.parametrize(
    ("capability", "kind", "window_s"),
    [
        ((5, 2), "gauge", None),
        ((6, 1), "gauge", 0.01),
        ((7, 5), "gauge", 0.1),
        ((8, 0), "gauge", 0.025),
        ((8, 6), "average", 1.0),
        ((9, 0), "average", 1.0),
        ((12, 0), "average", 1.0),
    ],
)
def test_power_usage_is_a_mean_over_a_second_from_ampere_on_but_for_ga100(
    machine: Machine, capability: tuple[int, int], kind: str, window_s: float | None
) -> None:
    fake = nvidia.laptop_gpu(machine)
    fake.answers["nvmlDeviceGetCudaComputeCapability"] = lambda: capability
    machine.t_s = 10.0
    power = channel(nvml.probe(machine.access()), "gpu_power")
    assert (power.source, power.kind, power.window_s) == ("nvmlDeviceGetPowerUsage", kind, window_s)


def test_hopper_is_said_to_look_at_a_quarter_of_the_time(machine: Machine) -> None:
    nvidia.datacenter(machine)
    sensor = nvml.probe(machine.access())
    for name in ("gpu_energy", "gpu_power"):
        assert "25 ms out of every 100 ms" in str(channel(sensor, name).accuracy)
        assert channel(sensor, name).gain_error == 0.05


def test_grace_hopper_power_of_the_module_is_not_called_the_gpus(machine: Machine) -> None:
    nvidia.grace_hopper(machine)
    sensor = nvml.probe(machine.access())
    power = channel(sensor, "gpu_power")
    # Another scope, so another total than that of the GPU's counter.
    assert (power.scope, power.summand) == ("module", True)
    assert (channel(sensor, "gpu_energy").scope, channel(sensor, "gpu_energy").summand) == ("gpu", True)
    machine.t_s = DECODE_S + 1
    assert values(sensor)["gpu_power"] == nvidia.MODULE_WATTS["decode"]


def test_nvml_starts_on_a_jetson_and_supports_nothing(machine: Machine) -> None:
    fake = nvidia.jetson_nvml(machine)
    with pytest.raises(MissingError, match="gives no reading") as e:
        nvml.probe(machine.access())
    assert not isinstance(e.value, DeniedError)
    assert "ina" in e.value.hint
    assert not fake.is_open


def test_a_field_is_not_read_where_its_own_return_code_is_an_error(machine: Machine) -> None:
    fake = nvidia.datacenter(machine)
    fake.fields = {(pynvml.NVML_FI_DEV_POWER_AVERAGE, 0): fake.fields[pynvml.NVML_FI_DEV_POWER_AVERAGE, 0]}
    del fake.answers["nvmlDeviceGetSamples"]
    sensor = nvml.probe(machine.access())
    power = channel(sensor, "gpu_power")
    assert (power.kind, power.window_s) == ("average", 1.0)
    assert not {"power violation", "thermal violation"} & {c.name for c in sensor.channels}
    fake.fields.clear()
    assert "gpu_power" not in values(sensor)


def test_a_reading_that_fails_is_no_zero(machine: Machine) -> None:
    fake = nvidia.datacenter(machine)
    sensor = nvml.probe(machine.access())
    recorder = Recorder({"nvml": sensor}, machine.access())
    del fake.answers["nvmlDeviceGetTemperatureV"]
    assert "gpu_temperature" not in values(sensor)
    fake.failing = pynvml.NVML_ERROR_GPU_IS_LOST
    with pytest.raises(OSError, match="GPU is lost"):
        sensor.read()
    recorder.sample(everything=True)
    assert recorder.traces() == ()
    assert "GPU is lost" in recorder.sampling()[0].fault


def test_a_counter_or_a_power_of_0_is_no_reading(machine: Machine) -> None:
    fake = nvidia.laptop_gpu(machine)
    fake.answers["nvmlDeviceGetTotalEnergyConsumption"] = lambda: 0
    fake.answers["nvmlDeviceGetPowerUsage"] = lambda: 0
    assert not {c.quantity for c in nvml.probe(machine.access()).channels} & {"energy", "power"}


def test_a_laptop_gpu_is_left_asleep_while_idle(machine: Machine) -> None:
    fake = nvidia.laptop_gpu(machine)
    sensor = nvml.probe(machine.access())
    recorder = Recorder({"nvml": sensor}, machine.access())
    fake.calls.clear()
    with recorder.idle():
        n_calls = len(fake.calls)
        while machine.t_s < IDLE_S:
            machine.t_s += 1.0
            recorder.sample()
        assert len(fake.calls) == n_calls
    (_, before), (_, after) = recorded(recorder, "gpu_energy")
    assert after - before == pytest.approx(nvidia.LAPTOP_WATTS["idle"] * IDLE_S)


def test_a_server_gpu_that_never_sleeps_is_read_while_idle(machine: Machine) -> None:
    fake = nvidia.datacenter(machine)
    assert not nvml.probe(machine.access()).wakes
    # Without a counter the edges of a phase would not tell what it used.
    machine.file("sys/bus/pci/devices/0000:17:00.0/power/control", "auto\n")
    assert nvml.probe(machine.access()).wakes
    del fake.answers["nvmlDeviceGetTotalEnergyConsumption"]
    assert not nvml.probe(machine.access()).wakes


def test_memory_is_that_of_the_process_where_the_driver_tells_processes_apart(machine: Machine) -> None:
    fake = nvidia.datacenter(machine)
    sensor = nvml.probe(machine.access())
    assert values(sensor)["vram_used"] == 0
    sensor.follow(nvidia.PID)
    assert values(sensor)["vram_used"] == 0
    machine.t_s = IDLE_S + 1
    used = fake.answers["nvmlDeviceGetMemoryInfo"]().used
    assert used > nvidia.MODEL_BYTES
    assert values(sensor)["vram_used"] == nvidia.MODEL_BYTES
    machine.t_s = 0.0
    assert "vram_used" not in values(sensor)  # The process is gone.


def test_memory_of_a_process_that_is_not_told_is_not_0(machine: Machine) -> None:
    nvidia.laptop_gpu(machine)
    sensor = nvml.probe(machine.access())
    sensor.follow(nvidia.PID)
    machine.t_s = IDLE_S + 1
    assert values(sensor)["vram_used"] == nvidia.MODEL_BYTES


def test_a_gpu_that_shares_the_machines_memory_has_none_of_its_own(machine: Machine) -> None:
    nvidia.grace_hopper(machine)
    assert "memory" not in {c.quantity for c in nvml.probe(machine.access()).channels}


def test_reasons_for_slowing_down(machine: Machine) -> None:
    nvidia.laptop_gpu(machine)
    sensor = nvml.probe(machine.access())
    flags = {c.name for c in sensor.channels if c.unit == "flag"}
    assert len(flags) == 5
    assert not any(values(sensor)[f] for f in flags)
    machine.t_s = nvidia.HOT_S
    assert {f for f in flags if values(sensor)[f]} == {"power cap", "software thermal slowdown"}


def test_being_idle_is_no_slowdown_and_violations_are_seconds(machine: Machine) -> None:
    nvidia.datacenter(machine)
    now = values(nvml.probe(machine.access()))
    assert now["power cap"] == now["hardware slowdown"] == 0
    assert now["power violation"] == 7.5
    assert (now["gpu_temperature"], now["gpu_sm_clock"]) == (38, 345e6)


def test_no_binding_is_worth_a_hint_only_where_a_gpu_is(machine: Machine) -> None:
    with pytest.raises(MissingError, match="No NVIDIA GPU"):
        nvml.probe(machine.access())
    machine.file("proc/driver/nvidia/version", "570.86.15\n")
    with pytest.raises(MissingError) as e:
        nvml.probe(machine.access())
    assert "edgeq[nvidia]" in e.value.hint


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, MissingError),
        (pynvml.NVML_ERROR_DRIVER_NOT_LOADED, MissingError),
        (pynvml.NVML_ERROR_NO_PERMISSION, DeniedError),
    ],
)
def test_a_driver_that_does_not_start(machine: Machine, monkeypatch: Any, code: int, kind: type) -> None:
    fake = nvidia.datacenter(machine)

    def refuse() -> None:
        raise nvidia.error(code)

    monkeypatch.setattr(fake, "nvmlInit", refuse)
    with pytest.raises(MissingError) as e:
        nvml.probe(machine.access())
    assert type(e.value) is kind
    assert str(nvidia.error(code)) in e.value.text
    assert e.value.hint


def test_a_user_without_the_right_is_told_so(machine: Machine) -> None:
    fake = nvidia.datacenter(machine)
    fake.failing = pynvml.NVML_ERROR_NO_PERMISSION
    with pytest.raises(DeniedError, match="Insufficient Permissions"):
        nvml.probe(machine.access())
    assert not fake.is_open


def test_closing_shuts_nvml_down(machine: Machine) -> None:
    fake = nvidia.datacenter(machine)
    sensor = nvml.probe(machine.access())
    assert fake.is_open
    sensor.close()
    assert not fake.is_open
