"""The recorder appends and nothing else: what fails leaves a gap and a reason, what sleeps is not woken."""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np
import pytest

from edgeq.recorder import Recorder
from edgeq.records import Channel
from edgeq.sensors import Sample, Sensor
from edgeq.stats import samples
from tests.sysroots.machine import Machine

WATTS = Channel("w", "power", "gauge", "W", "board", sensor="fake")


class Fake(Sensor):
    """Gives the time in seconds, and what else it is told to."""

    def __init__(self, machine: Machine, *, wakes: bool = False, read_s: float = 0.0, dies_s: float = math.inf) -> None:
        self.channels = (WATTS,)
        self.machine = machine
        self.wakes = wakes
        self.read_s = read_s
        self.dies_s = dies_s
        self.at: list[float] = []

    def read(self) -> list[Sample]:
        self.machine.t_s += self.read_s
        if self.machine.t_s > self.dies_s:
            raise OSError("the meter was unplugged")
        self.at.append(self.machine.t_s)
        return [Sample(0, self.machine.t_s)]


def run(recorder: Recorder, machine: Machine, until_s: float, step_s: float = 0.01) -> None:
    while machine.t_s < until_s:
        recorder.sample()
        machine.t_s += step_s


def test_samples_are_stamped_in_the_middle_of_the_reading(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    recorder = Recorder({"fake": Fake(machine, read_s=0.002)}, machine.access())
    t0 = machine.clock()
    run(recorder, machine, 1.0)
    t, v = samples(recorder.traces()[0])
    assert (t - t0) / 1e9 == pytest.approx(v - 0.001, abs=1e-6)


def test_a_sensor_that_vanishes_leaves_a_gap_and_a_reason(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    sensors = {"dying": Fake(machine, dies_s=0.5), "other": Fake(machine)}
    recorder = Recorder(sensors, machine.access())
    run(recorder, machine, 1.0)
    dying, other = recorder.traces()
    assert samples(dying)[1].max() <= 0.5 < 0.9 < samples(other)[1].max()
    said = {s.sensor: s for s in recorder.sampling()}
    assert said["dying"].n_faults > 3
    assert said["dying"].fault == "the meter was unplugged"
    assert said["other"].n_faults == 0


def test_sampling_does_not_beat_with_a_periodic_load(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    fake = Fake(machine)
    run(Recorder({"fake": fake}, machine.access(), period_s=0.05), machine, 60.0, step_s=0.001)
    phase = np.array(fake.at) % 0.1 / 0.1  # a token loop of twice the sampling period
    counts = np.histogram(phase, bins=10, range=(0, 1))[0]
    assert counts.min() > 0.6 * counts.mean()


def test_a_slow_bus_takes_at_most_a_twentieth_of_the_time(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    recorder = Recorder({"slow": Fake(machine, read_s=0.02)}, machine.access(), period_s=0.01)
    run(recorder, machine, 60.0, step_s=0.001)
    (cost,) = recorder.sampling()
    assert 0.03 < cost.read_s / 60 < 0.06


def test_one_late_reading_silences_nobody(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    fake = Fake(machine)
    recorder = Recorder({"fake": fake}, machine.access(), period_s=0.02)
    run(recorder, machine, 1.0, step_s=0.001)
    fake.read_s = 0.1  # the thread was put aside in the middle of it
    recorder.sample(everything=True)
    fake.read_s = 0.0
    run(recorder, machine, 2.0, step_s=0.001)
    assert max(np.diff(fake.at)) < 0.15


def test_a_broken_terminal_does_not_end_the_sampling(tmp_path: Path) -> None:
    def broken() -> None:
        raise BrokenPipeError

    machine = Machine(tmp_path)
    fake = Fake(machine)
    recorder = Recorder({"fake": fake}, machine.access(clock=time.monotonic_ns), period_s=0.01)
    with recorder.running(broken):
        time.sleep(0.3)
    assert len(fake.at) > 10


def test_idle_reads_a_sensor_that_wakes_the_device_at_its_edges_only(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    waking, other = Fake(machine, wakes=True), Fake(machine)
    recorder = Recorder({"waking": waking, "other": other}, machine.access())
    with recorder.idle():
        run(recorder, machine, 30.0)
    assert len(waking.at) == 2
    assert waking.at[0] == 0 and waking.at[1] >= 30
    assert len(other.at) > 300


def test_a_suspend_voids_every_trace_at_its_moment(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    slept = [0]
    recorder = Recorder({"fake": Fake(machine)}, machine.access(suspended=lambda: slept[0]))
    run(recorder, machine, 1.0)
    slept[0] = 3_600_000_000_000
    run(recorder, machine, 2.0)
    _, v = samples(recorder.traces()[0])
    assert np.isnan(v).sum() == 1
    assert recorder.sampling()[0].fault == "the machine was suspended"


def test_the_samplers_own_cost_is_cpu_time_not_waiting(tmp_path: Path) -> None:
    class Waiting(Fake):
        def read(self) -> list[Sample]:
            time.sleep(0.05)
            return []

    machine = Machine(tmp_path)
    recorder = Recorder({"waiting": Waiting(machine)}, machine.access(clock=time.monotonic_ns), period_s=0.01)
    ticks: list[int] = []
    with recorder.running(lambda: ticks.append(1)):
        time.sleep(1.2)
    assert recorder.cpu_s < 0.1
    assert 2 <= len(ticks) <= 4
