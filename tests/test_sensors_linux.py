"""Temperatures, clocks and throttling as every Linux shows them."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeq.errors import MissingError
from edgeq.sensors import Sensor, cpufreq, thermal
from tests.sysroots import linux
from tests.sysroots.machine import DECODE_S, Machine


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def values(sensor: Sensor) -> dict[tuple[str, str], float]:
    return {(sensor.channels[i].name, sensor.channels[i].unit): value for i, value, _ in sensor.read()}


def test_pi4(machine: Machine) -> None:
    linux.pi4(machine)
    machine.t_s = DECODE_S
    assert values(thermal.probe(machine.access())) == {
        ("cpu-thermal", "degC"): 74.0,
        ("thermal: cpufreq-cpu", "flag"): 0.0,
    }
    assert values(cpufreq.probe(machine.access())) == {("policy0", "Hz"): 3.9e9}


def test_pc_that_only_turns_its_fan_does_not_throttle(machine: Machine) -> None:
    linux.pc(machine)
    sensor = thermal.probe(machine.access())
    flags = {name: value for (name, unit), value in values(sensor).items() if unit == "flag"}
    assert flags == {"thermal: Processor": 0.0, "thermal: intel_powerclamp": 0.0}


def test_package_temperature_is_shown_once(machine: Machine) -> None:
    linux.pc(machine)
    names = [c.name for c in thermal.probe(machine.access()).channels]
    assert "x86_pkg_temp" in names
    assert not any("coretemp" in name for name in names)


def test_hwmon_stands_in_for_a_missing_zone(machine: Machine) -> None:
    files = {"temp1_label": "Tctl\n", "temp1_input": "72000\n", "temp2_label": "Tdie\n", "temp2_input": "62000\n"}
    linux.hwmon(machine, "k10temp", files)
    linux.hwmon(machine, "nvme", {"temp1_label": "Composite\n", "temp1_input": "39000\n"})
    assert values(thermal.probe(machine.access())) == {("k10temp Tdie", "degC"): 62.0}


def test_one_slowed_core_of_many_is_throttling(machine: Machine) -> None:
    linux.zone(machine, "acpitz", 40.0)
    for i in range(4):
        linux.cooling(machine, "Processor", lambda t, i=i: float(i == 2 and t > 5))
    sensor = thermal.probe(machine.access())
    assert values(sensor)["thermal: Processor", "flag"] == 0.0
    machine.t_s = 6.0
    assert values(sensor)["thermal: Processor", "flag"] == 1.0


def test_many_zones_leave_those_of_processors(machine: Machine) -> None:
    for i in range(80):
        linux.zone(machine, f"battery-{i}", 30.0)
    linux.zone(machine, "cpu-1-0", 60.0)
    names = [c.name for c in thermal.probe(machine.access()).channels]
    assert len(names) == 16
    assert "cpu-1-0" in names


def test_throttling_of_a_package_counts_once(machine: Machine) -> None:
    # Core 1 was throttled 3 times for 4 s, core 0 never; the package twice for 5 s.
    linux.throttled(machine, lambda i, t: (3 * i, 4.0 * i), lambda t: (2, 5.0))
    assert values(cpufreq.probe(machine.access())) == {
        ("thermal (package)", "events"): 2,
        ("thermal (package)", "s"): 5.0,
        ("thermal (core)", "events"): 3,
        ("thermal (core)", "s"): pytest.approx(2.0),
    }


def test_old_kernel_counts_events_only(machine: Machine) -> None:
    linux.throttled(machine, lambda i, t: (0, 0.0), lambda t: (0, 0.0))
    for path in machine.root.glob("sys/**/*_total_time_ms"):
        path.unlink()
        del machine.live[path]
    assert {c.unit for c in cpufreq.probe(machine.access()).channels} == {"events"}


def test_many_threads_are_sampled(machine: Machine) -> None:
    for i in range(128):
        linux.policy(machine, i, lambda t: 3e9)
    names = [c.name for c in cpufreq.probe(machine.access()).channels]
    assert len(names) == 16
    assert names[-1] == "policy120"


def test_core_that_goes_offline_leaves_a_gap(machine: Machine) -> None:
    linux.policy(machine, 0, lambda t: 1e9)
    linux.policy(machine, 1, lambda t: 1e9)
    sensor = cpufreq.probe(machine.access())
    machine.live[machine.root / "sys/devices/system/cpu/cpufreq/policy1/scaling_cur_freq"] = lambda t: "<unknown>\n"
    assert values(sensor) == {("policy0", "Hz"): 1e9}


@pytest.mark.parametrize("module", [thermal, cpufreq])
def test_virtual_machine_has_neither(machine: Machine, module: object) -> None:
    with pytest.raises(MissingError, match="virtual machines and containers") as caught:
        module.probe(machine.access())  # type: ignore[attr-defined]
    assert caught.value.hint
