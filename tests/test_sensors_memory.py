"""Memory of a process and of the machine: which number is which, and when there is none."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgeq.access import Access
from edgeq.errors import DeniedError, MissingError
from edgeq.sensors import Sensor, process_memory, system_memory
from tests.sysroots import memory
from tests.sysroots.machine import DONE_S, END_S, IDLE_S, Machine

BUSY_S = DONE_S - 1.0
GROUPED = [memory.v2, memory.v1, memory.hybrid, memory.container]


def values(sensor: Sensor) -> dict[str, float]:
    """Name of the channel -> value, of those that gave one."""
    return {sensor.channels[s.channel].name: s.value for s in sensor.read()}


def peaks(sensor: Sensor, machine: Machine) -> list[float]:
    """The channel's values of a whole bench: none before the process was there."""
    found = []
    for t_s in np.arange(0.0, END_S, 5.0):
        machine.t_s = float(t_s)
        if t_s == IDLE_S:
            sensor.follow(memory.PID)
        if t_s < IDLE_S:
            assert "cgroup_peak" not in values(sensor)
        else:
            found.append(values(sensor)["cgroup_peak"])
    return found


def test_memory_of_another_process_is_never_given(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    memory.bare(machine)
    sensor = process_memory.probe(machine.access())
    assert sensor.read() == []  # nothing is measured yet, and this is not about edgeq itself
    machine.t_s = IDLE_S
    sensor.follow(memory.PID)
    assert values(sensor) == {"rss_anon": memory.ANON + memory.SHARED + memory.SWAPPED, "rss_file": memory.FILE}
    machine.t_s = DONE_S
    assert sensor.read() == []


def test_the_kinds_of_memory_of_a_real_process_add_up_to_its_resident_size() -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux tells")
    sensor = process_memory.probe(Access(pid=os.getpid()))
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    assert sum(values(sensor).values()) == pytest.approx(pages * os.sysconf("SC_PAGE_SIZE"), rel=0.2)


def test_no_kinds_of_memory_without_linux(tmp_path: Path) -> None:
    with pytest.raises(MissingError) as e:
        process_memory.probe(Machine(tmp_path).access(platform="darwin"))
    assert e.value.hint


@pytest.mark.parametrize("make", [*GROUPED, memory.bare, memory.root_group])
def test_available_memory_falls_by_what_the_model_needs(make: Callable[[Machine], None], tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    make(machine)
    sensor = system_memory.probe(machine.access())
    before = values(sensor)["available"]
    machine.t_s = BUSY_S
    assert before - values(sensor)["available"] == memory.ANON + memory.SHARED + memory.FILE


@pytest.mark.parametrize("make", GROUPED)
def test_peak_of_the_group_of_the_measured_process(make: Callable[[Machine], None], tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    make(machine)
    sensor = system_memory.probe(machine.access())
    assert max(peaks(sensor, machine)) == memory.group_bytes(BUSY_S)


@pytest.mark.parametrize("make", GROUPED)
def test_a_peak_between_two_samples_is_not_missed(make: Callable[[Machine], None], tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    make(machine)
    sensor = system_memory.probe(machine.access())
    machine.t_s = IDLE_S
    sensor.follow(memory.PID)
    machine.t_s = END_S  # no sample while the model was loaded
    assert values(sensor)["cgroup_peak"] == memory.group_bytes(BUSY_S)


@pytest.mark.parametrize("make", GROUPED)
def test_a_peak_from_before_the_measurement_is_not_the_models(
    make: Callable[[Machine], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "EARLIER_PEAK", 7000 * memory.MIB)
    machine = Machine(tmp_path)
    make(machine)
    sensor = system_memory.probe(machine.access())
    assert max(peaks(sensor, machine)) == memory.group_bytes(BUSY_S)


def test_the_peak_of_one_process_is_not_given_for_the_next(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    memory.v2(machine)
    sensor = system_memory.probe(machine.access())
    first = max(peaks(sensor, machine))
    sensor.leave()
    assert "cgroup_peak" not in values(sensor)
    sensor.follow(memory.PID)
    assert values(sensor)["cgroup_peak"] < first


def test_a_kernel_without_memory_peak_gives_the_highest_sample_and_says_so(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    memory.v2(machine, keeps_peak=False)
    sensor = system_memory.probe(machine.access())
    assert max(peaks(sensor, machine)) == memory.group_bytes(BUSY_S)
    (channel,) = (c for c in sensor.channels if c.name == "cgroup_peak")
    assert "samples" in (channel.accuracy or "")
    assert channel.source.endswith("memory.current")


@pytest.mark.parametrize("make", [memory.bare, memory.root_group])
def test_the_whole_machine_is_not_a_control_group(make: Callable[[Machine], None], tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    make(machine)
    sensor = system_memory.probe(machine.access())
    assert [c.name for c in sensor.channels] == ["available"]


def test_a_group_that_is_gone_leaves_the_rest(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    memory.v2(machine)
    sensor = system_memory.probe(machine.access())
    sensor.follow(memory.PID)
    machine.deny(f"sys/fs/cgroup{memory.SCOPE}/memory.current")
    assert set(values(sensor)) == {"available"}


def test_memory_of_a_jetsons_gpu_is_never_added_to_memory_in_use(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    memory.jetson(machine)
    sensor = system_memory.probe(machine.access())
    sensor.follow(memory.PID)
    assert values(sensor)["nvmap_used"] == 512000 * 1024
    assert list(values(sensor)) == [c.name for c in sensor.channels]
    assert not any(c.summand for c in sensor.channels)


@pytest.mark.parametrize("make", [*GROUPED, memory.jetson])
def test_channels_say_what_they_are(make: Callable[[Machine], None], tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    make(machine)
    for channel in system_memory.probe(machine.access()).channels:
        assert (channel.quantity, channel.kind, channel.unit, channel.scope) == ("memory", "gauge", "bytes", "system")
        assert channel.accuracy
        assert channel.source
        assert channel.name != "cgroup_peak" or "page cache" in (channel.accuracy or "")


def test_no_meminfo_is_missing_and_a_hidden_one_is_denied(tmp_path: Path) -> None:
    with pytest.raises(MissingError) as e:
        system_memory.probe(Machine(tmp_path / "a").access(platform="darwin"))
    assert not isinstance(e.value, DeniedError)
    machine = Machine(tmp_path / "b")
    memory.v2(machine)
    machine.deny("proc/meminfo")
    with pytest.raises(DeniedError):
        system_memory.probe(machine.access())


def test_a_real_machine_has_less_than_all_of_its_memory_left() -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux tells")
    sensor = system_memory.probe(Access())
    assert 0 < values(sensor)["available"] <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
