"""Energy counters of Apple Silicon and of Windows, through fakes of what they are read from."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.errors import DeniedError, MissingError
from edgeq.sensors import Sensor, apple, emi
from tests.sysroots import apple as mac
from tests.sysroots import windows as pc
from tests.sysroots.machine import DECODE_S, PREFILL_S, START_NS, Machine, energy


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def values(sensor: Sensor) -> dict[str, float]:
    return {sensor.channels[s.channel].name: s.value for s in sensor.read()}


def used_j(machine: Machine, sensor: Sensor) -> dict[str, float]:
    """Joules of each channel over all of the prefill."""
    machine.t_s = PREFILL_S
    before = values(sensor)
    machine.t_s = DECODE_S
    return {name: value - before[name] for name, value in values(sensor).items()}


def test_apple_counters_are_joules_of_the_chip_and_marked_as_estimates(machine: Machine) -> None:
    mac.apple_silicon(machine)
    sensor = apple.probe(machine.access(platform="darwin"))
    used = used_j(machine, sensor)
    # Each counter is cut to whole millijoules.
    assert sum(used.values()) == pytest.approx(mac.WATTS["prefill"] * (DECODE_S - PREFILL_S), abs=0.003)
    assert set(used) == {"cpu", "gpu", "dram"}
    assert all(c.estimated and c.accuracy and (c.scope, c.summand) == ("package", True) for c in sensor.channels)


def test_a_counter_that_an_apple_chip_lacks_is_no_zero(machine: Machine) -> None:
    mac.apple_silicon(machine)
    assert "ane" not in {c.name for c in apple.probe(machine.access(platform="darwin")).channels}


def test_ioreport_failing_is_no_zero(machine: Machine) -> None:
    fake = mac.apple_silicon(machine)
    sensor = apple.probe(machine.access(platform="darwin"))
    fake.fault = "Failed to create IOReport subscription."
    with pytest.raises(OSError, match="subscription"):
        sensor.read()
    with pytest.raises(MissingError, match="subscription"):
        apple.probe(machine.access(platform="darwin"))


@pytest.mark.parametrize("sensor", [apple, emi])
def test_other_systems_have_neither(machine: Machine, sensor: object) -> None:
    mac.apple_silicon(machine)
    pc.windows(machine)
    with pytest.raises(MissingError) as e:
        sensor.probe(machine.access())  # type: ignore[attr-defined]
    assert e.value.hint


def test_a_mac_without_the_binding_is_told_which(machine: Machine) -> None:
    with pytest.raises(MissingError) as e:
        apple.probe(machine.access(platform="darwin"))
    assert "edgeq[apple]" in e.value.hint


def test_windows_counters_are_picowatt_hours(machine: Machine) -> None:
    pc.windows(machine)
    used = used_j(machine, emi.probe(machine.access(platform="win32")))
    assert used["RAPL_Package0_PKG"] == pytest.approx(pc.PACKAGE_WATTS["prefill"] * (DECODE_S - PREFILL_S), rel=1e-6)
    assert used["RAPL_Package0_PP0"] == pytest.approx(pc.CORES_WATTS["prefill"] * (DECODE_S - PREFILL_S), rel=1e-6)
    assert used["GPU rail"] == pytest.approx(3.0 * (DECODE_S - PREFILL_S), rel=1e-6)


def test_dies_that_mirror_one_counter_are_counted_once(machine: Machine) -> None:
    fake = pc.windows(machine)
    sensor = emi.probe(machine.access(platform="win32"))
    assert [(c.name, c.scope) for c in sensor.channels if c.summand] == [("RAPL_Package0_PKG", "package")]
    assert {c.name for c in sensor.channels} == {"RAPL_Package0_PKG", "RAPL_Package0_PP0", "GPU rail"}
    assert fake.n_open == 2
    sensor.close()
    assert fake.n_open == 0


def test_two_sockets_are_two(machine: Machine) -> None:
    fake = pc.windows(machine)
    fake.meters[r"\\?\acpi#rapl#1"] = (
        2,
        pc.metadata_v2(["RAPL_Package1_PKG", "RAPL_Package1_DRAM"]),
        [lambda t_s: 9e5 + 20 * t_s, lambda t_s: 4e5 + 5 * t_s],
    )
    sensor = emi.probe(machine.access(platform="win32"))
    assert [c.name for c in sensor.channels if c.summand] == [
        "RAPL_Package0_PKG",
        "RAPL_Package1_PKG",
        "RAPL_Package1_DRAM",
    ]


def test_windows_counters_say_when_they_were_true(machine: Machine) -> None:
    fake = pc.windows(machine)
    sensor = emi.probe(machine.access(platform="win32"))
    machine.t_s = PREFILL_S
    sensor.read()
    for t_s, fake.lag_s in ((PREFILL_S + 1, 0.0), (PREFILL_S + 2, 0.25), (PREFILL_S + 3, 0.1)):
        machine.t_s = t_s
        sample = sensor.read()[0]
        assert sample.t_ns is not None
        true_s = (sample.t_ns - START_NS) / 1e9
        # Two clocks may have drifted by half a millisecond in each second since the quickest answer.
        assert true_s == pytest.approx(t_s - fake.lag_s, abs=0.0016)
        assert sample.value == pytest.approx(pc.BEFORE_J + energy(true_s, pc.PACKAGE_WATTS), abs=0.1)


def test_a_dead_meter_is_no_zero(machine: Machine) -> None:
    fake = pc.windows(machine)
    sensor = emi.probe(machine.access(platform="win32"))
    fake.is_dead = True
    with pytest.raises(OSError, match="not functioning"):
        sensor.read()
    with pytest.raises(MissingError, match="not functioning"):
        emi.probe(machine.access(platform="win32"))


def test_windows_without_meters_or_without_the_right(machine: Machine) -> None:
    fake = pc.windows(machine)
    fake.refused = set(fake.meters)
    with pytest.raises(DeniedError, match="Access is denied") as e:
        emi.probe(machine.access(platform="win32"))
    assert e.value.hint
    fake.meters.clear()
    with pytest.raises(MissingError, match="no energy meter") as missing:
        emi.probe(machine.access(platform="win32"))
    assert not isinstance(missing.value, DeniedError)


@given(st.lists(st.text(st.characters(codec="utf-16-le", exclude_characters="\0"), max_size=20), max_size=6))
def test_names_survive_both_layouts(names: list[str]) -> None:
    assert emi.channel_names(2, pc.metadata_v2(names)) == names
    for name in names:
        assert emi.channel_names(1, pc.metadata_v1(name)) == [name]


@given(st.sampled_from([0, 1, 2, 3]), st.binary(max_size=200))
def test_strange_metadata_are_refused_in_words(version: int, metadata: bytes) -> None:
    try:
        names = emi.channel_names(version, metadata)
    except ValueError as e:
        assert "EMI" in str(e) or "utf-16" in str(e)
    else:
        assert version in (1, 2)
        assert all(isinstance(name, str) for name in names)


@pytest.mark.parametrize("cut", [1, 6, 20, 60])
def test_metadata_that_end_early_or_count_otherwise_are_refused(cut: int) -> None:
    whole = pc.metadata_v2(["RAPL_Package0_PKG", "RAPL_Package0_DRAM"])
    with pytest.raises(ValueError, match="too early"):
        emi.channel_names(2, whole[:-cut])
    with pytest.raises(ValueError, match="picowatt-hours"):
        emi.channel_names(2, pc.metadata_v2(["RAPL_Package0_PKG"], unit=1))
