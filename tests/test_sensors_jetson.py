"""Jetsons: every total is the hand-computed one, whatever other tools have made of the same rails."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.errors import DeniedError, MissingError
from edgeq.records import Channel
from edgeq.sensors import Sensor, cpufreq, ina, soctherm, thermal
from edgeq.sensors._rails import summands
from tests.sysroots import jetson
from tests.sysroots.linux import cooling, hwmon, pi4, raises
from tests.sysroots.machine import DECODE_S, PREFILL_S, Machine, State

AT: dict[State, float] = {"idle": 1.0, "prefill": PREFILL_S + 1, "decode": DECODE_S + 1}
SCOPE = {
    "nano": "board",
    "tx2": "board",
    "xavier_nx": "module",
    "agx_xavier": "module",
    "orin_nano": "module",
    "agx_orin": "module",
    "thor": "board",
}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def values(sensor: Sensor) -> dict[str, float]:
    return {sensor.channels[i].name: value for i, value, _ in sensor.read()}


def total(sensor: Sensor) -> tuple[set[str], float]:
    """The scopes of all summands, and their sum."""
    counted = [(sensor.channels[i], value) for i, value, _ in sensor.read() if sensor.channels[i].summand]
    return {c.scope for c, _ in counted}, sum(value for _, value in counted)


def channel(sensor: Sensor, name: str) -> Channel:
    return next(c for c in sensor.channels if c.name == name)


@pytest.mark.parametrize("device", jetson.WATTS)
def test_the_total_is_the_hand_computed_one(machine: Machine, device: str) -> None:
    getattr(jetson, device)(machine)
    sensor = ina.probe(machine.access())
    for state, watts in jetson.WATTS[device].items():
        machine.t_s = AT[state]
        assert total(sensor) == ({SCOPE[device]}, pytest.approx(watts, abs=1e-9))


def test_agx_orin_memory_rail_is_not_counted_twice(machine: Machine) -> None:
    jetson.agx_orin(machine)
    sensor = ina.probe(machine.access())
    memory = channel(sensor, "VDDQ_VDD2_1V8AO")
    assert (memory.scope, memory.summand) == ("rail", False)
    assert values(sensor)["VDDQ_VDD2_1V8AO"] == pytest.approx(11 * 0.09936)


def test_rail_of_cpu_gpu_and_cv_is_not_called_cpu(machine: Machine) -> None:
    jetson.orin_nano(machine)
    assert set(values(ina.probe(machine.access()))) == {"VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC"}


def test_thor_input_is_in_microwatts_and_its_gpu_below_zero(machine: Machine) -> None:
    jetson.thor(machine)
    sensor = ina.probe(machine.access())
    assert values(sensor)["VIN"] == pytest.approx(22.0)
    assert values(sensor)["VDD_GPU"] == pytest.approx(-0.2408)
    assert [c.name for c in sensor.channels if c.summand] == ["VIN"]


def test_usb_power_delivery_is_no_rail(machine: Machine) -> None:
    jetson.agx_orin(machine)
    assert not any("ucsi" in c.source or "power_supply" in c.source for c in ina.probe(machine.access()).channels)


def test_only_connected_channels_are_rails(machine: Machine) -> None:
    jetson.agx_orin(machine)
    names = [c.name for c in ina.probe(machine.access()).channels]
    assert sorted(names) == ["VDDQ_VDD2_1V8AO", "VDD_CPU_CV", "VDD_GPU_SOC", "VIN_SYS_5V0"]


def test_steps_follow_from_shunt_and_voltage(machine: Machine, tmp_path: Path) -> None:
    jetson.orin_nano(machine)
    lsb = channel(ina.probe(machine.access()), "VDD_IN").lsb
    assert lsb == pytest.approx(0.03967, rel=1e-3)
    # Readings of a real Orin Nano, in mW.
    assert [int(n * lsb * 1000) for n in (120, 13, 36, 167)] == [4761, 515, 1428, 6626]

    agx = Machine(tmp_path / "agx")
    jetson.agx_orin(agx)
    rail = channel(ina.probe(agx.access()), "VDD_GPU_SOC")
    assert rail.lsb == pytest.approx(0.398, rel=1e-3)
    assert rail.offset_error == pytest.approx(2 * rail.lsb)  # 80 µV are two steps


def test_rail_that_is_off_gives_nothing_and_voids_the_total(machine: Machine) -> None:
    jetson.agx_orin(machine)
    for number in (0, 1):
        if (machine.root / f"sys/class/hwmon/hwmon{number}/in2_label").exists():
            machine.file(f"sys/class/hwmon/hwmon{number}/curr2_input", raises(errno.ENODATA))
    sensor = ina.probe(machine.access())
    assert "VDD_CPU_CV" not in values(sensor)
    assert "VDD_CPU_CV" in {c.name for c in sensor.channels}
    assert not any(c.summand for c in sensor.channels)


def test_suspended_chip(machine: Machine) -> None:
    jetson.orin_nano(machine)
    sensor = ina.probe(machine.access())
    for path in machine.root.glob("sys/class/hwmon/*/curr?_input"):
        machine.live[path] = raises(errno.ENODATA)
    with pytest.raises(OSError, match="None of the power monitors"):
        sensor.read()
    with pytest.raises(MissingError, match="switched off or suspended") as caught:
        ina.probe(machine.access())
    assert not isinstance(caught.value, DeniedError)


@pytest.mark.parametrize("device", [jetson.orin_nano, jetson.nano])
def test_denied_is_not_absent(machine: Machine, device: Callable[[Machine], None]) -> None:
    device(machine)
    machine.denied.update(machine.root.glob("sys/**/*_input"))
    with pytest.raises(DeniedError, match="may not read /sys/") as caught:
        ina.probe(machine.access())
    assert "chmod a+r /sys/" in caught.value.hint
    assert ("iio" in caught.value.hint) == (device is jetson.nano)


def test_no_power_monitor(machine: Machine) -> None:
    pi4(machine)
    for module in (ina, soctherm):
        with pytest.raises(MissingError) as caught:
            module.probe(machine.access())
        assert not isinstance(caught.value, DeniedError)
        assert caught.value.hint


def test_numbers_of_hwmon_do_not_matter(machine: Machine) -> None:
    jetson.agx_orin(machine)
    before = values(ina.probe(machine.access()))
    folders = sorted((machine.root / "sys/class/hwmon").iterdir(), reverse=True)
    for n, old in enumerate(folders):
        new = old.with_name(f"hwmon{10 + n}")
        old.rename(new)
        machine.live = {(new / p.name if p.parent == old else p): f for p, f in machine.live.items()}
    assert values(ina.probe(machine.access())) == before


def test_reads_two_registers_for_each_rail(machine: Machine) -> None:
    jetson.orin_nano(machine)
    opened: list[Path] = []

    def opener(path: Path) -> Any:
        opened.append(path)
        return machine.open(path)

    sensor = ina.probe(machine.access(opener=opener))
    opened.clear()
    sensor.read()
    assert len(opened) == 6


def test_averaging_in_the_chip_is_known(machine: Machine) -> None:
    jetson.orin_nano(machine)
    (folder,) = (f.parent for f in machine.root.glob("sys/class/hwmon/*/in7_label"))
    assert ina.probe(machine.access()).channels[0].kind == "gauge"
    (folder / "samples").write_text("512\n")
    (folder / "update_interval").write_text("430\n")
    averaged = ina.probe(machine.access()).channels[0]
    assert (averaged.kind, averaged.update_period_s, averaged.window_s) == ("average", 0.43, 0.43)


def test_what_a_users_chip_measures_is_not_guessed(machine: Machine) -> None:
    chip = {"power1_input": "6500000\n", "in1_input": "5100\n", "shunt_resistor": "100000\n"}
    hwmon(machine, "ina219", chip)
    hwmon(machine, "ina228", {**chip, "label": "VIN\n", "energy1_input": "123000000\n"})
    sensor = ina.probe(machine.access())
    assert [(c.name, c.quantity, c.scope, c.summand) for c in sensor.channels] == [
        ("ina219", "power", "rail", False),
        ("VIN", "power", "board", True),
        ("VIN", "energy", "board", True),
    ]
    assert [value for _, value, _ in sensor.read()] == pytest.approx([6.5, 6.5, 123.0])
    assert channel(sensor, "ina219").lsb == pytest.approx(0.002)  # 20 V times 10 µV over 0.1 Ω


def test_chip_without_labels_keeps_its_channels(machine: Machine) -> None:
    jetson.ina3221(machine, jetson.Rail(None, 5000, 10000, (5, 5, 5)), jetson.Rail(None, 3304, 10000, (2, 2, 2)), None)
    sensor = ina.probe(machine.access())
    assert values(sensor) == {"ch1": pytest.approx(0.1), "ch2": pytest.approx(0.026432)}
    assert not any(c.summand for c in sensor.channels)


# Rails that are parts of something, or parts of a total that is not complete.
PARTS = ("VDDQ_VDD2_1V8AO", "VDD_CPU_GPU_CV", "VDD_SOC", "VDD_CPU", "VDD_MUX", "CPU", "GPU", "SOC", "SYS5V", "ch1")


@given(st.lists(st.sampled_from(PARTS)))
def test_parts_make_no_total_and_change_none(parts: list[str]) -> None:
    orin = ["VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"]
    assert summands(parts) == {}
    assert summands([*orin, *parts]) == dict.fromkeys(orin, "module")


def test_label_that_occurs_twice_counts_into_no_total() -> None:
    assert summands(["VIN", "VIN"]) == {}


def test_of_inputs_behind_one_another_only_the_outermost_is_the_board() -> None:
    assert summands(["5V_IN", "VIN"]) == {"VIN": "board"}
    assert summands(["POM_5V_IN", "POM_5V_CPU", "VIN"]) == {"VIN": "board"}
    assert summands(["VDD_IN", "VDD_SOC", "VIN"]) == {"VIN": "board", "VDD_IN": "module"}


def test_over_current_events_are_counted(machine: Machine) -> None:
    jetson.orin_nano(machine, events=lambda t: (0, 15, 37 + int(t)))
    sensor = soctherm.probe(machine.access())
    machine.t_s = 10.0
    assert values(sensor) == {"under-voltage": 0, "average over-current": 15, "instantaneous over-current": 47}
    assert {(c.quantity, c.kind, c.unit) for c in sensor.channels} == {("throttle", "counter", "events")}


def test_alarms_stand_in_where_nothing_counts(machine: Machine) -> None:
    jetson.xavier_nx(machine)
    (alarm,) = machine.root.glob("sys/class/hwmon/*/curr1_crit_alarm")
    alarm.write_text("1\n")
    sensor = soctherm.probe(machine.access())
    assert {c.unit for c in sensor.channels} == {"flag"}
    assert [name for name, value in values(sensor).items() if value] == ["instantaneous over-current (VDD_IN)"]


def test_denied_counters(machine: Machine) -> None:
    jetson.agx_orin(machine)
    machine.denied.update(machine.root.glob("sys/**/*_event_cnt"))
    machine.denied.update(machine.root.glob("sys/**/*_alarm"))
    with pytest.raises(DeniedError, match="oc1_event_cnt"):
        soctherm.probe(machine.access())


def test_zones_without_a_truth_are_left_out(machine: Machine, tmp_path: Path) -> None:
    jetson.orin_nano(machine)
    celsius = {n: v for n, v in values(thermal.probe(machine.access())).items() if not n.startswith("thermal:")}
    assert celsius == dict.fromkeys(("cpu-thermal", "gpu-thermal", "tj-thermal"), 46.5)

    older = Machine(tmp_path / "nano")
    jetson.nano(older)
    assert "PMIC-Die" not in values(thermal.probe(older.access()))


def test_gpu_without_power_at_the_start_is_seen_when_it_works(machine: Machine) -> None:
    jetson.thor(machine)
    sensor = thermal.probe(machine.access())
    assert "gpu-thermal" not in values(sensor)
    machine.t_s = AT["decode"]
    assert values(sensor)["gpu-thermal"] == 61.0


def test_alert_is_throttling_and_a_fan_is_not(machine: Machine) -> None:
    jetson.orin_nano(machine)
    cooling(machine, "gpu-throttle-alert", lambda t: float(t > 100))
    sensor = thermal.probe(machine.access())
    for t_s, slowed in ((1.0, set()), (101.0, {"thermal: gpu-throttle-alert"})):
        machine.t_s = t_s
        flags = {n: v for n, v in values(sensor).items() if n.startswith("thermal:")}
        assert {n for n, v in flags.items() if v} == slowed
    assert "thermal: cpufreq-cpu" in flags
    assert not any("fan" in n or "surface" in n for n in flags)


def test_clocks_of_processor_and_gpu(machine: Machine, tmp_path: Path) -> None:
    jetson.orin_nano(machine)
    machine.t_s = AT["prefill"]
    assert values(cpufreq.probe(machine.access())) == {"policy0": 1.728e9, "policy4": 1.728e9, "gpu": 1.02e9}
    newest = Machine(tmp_path / "thor")
    jetson.thor(newest)
    assert {"gpu-gpc-0", "gpu-nvd-0"} < set(values(cpufreq.probe(newest.access())))
