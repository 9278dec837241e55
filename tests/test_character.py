"""What is found out about emulated sensors, whose period, step and noise are known."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

from edgeq.stats.character import character


class Sensor(NamedTuple):
    """Updates every ``period_s`` with noise, shows multiples of ``lsb``, is read five times per update with jitter."""

    kind: str
    mean_w: float
    noise_w: float
    period_s: float
    lsb: float
    offset: float = 0.0

    def readings(self, n_updates: int = 300, polls: int = 5) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(4)
        poll_s = self.period_s / polls
        t_s = np.cumsum(rng.uniform(0.7 * poll_s, 1.3 * poll_s, n_updates * polls))
        update = np.floor(t_s / self.period_s).astype(int)
        shown = rng.normal(self.mean_w, self.noise_w, update[-1] + 1)
        if self.kind == "counter":
            shown = self.offset + np.cumsum(shown * self.period_s)
        return (t_s * 1e9).astype(np.int64), np.round(shown[update] / self.lsb) * self.lsb


@pytest.mark.parametrize(
    "sensor",
    [
        Sensor("gauge", 30.0, 0.4, 1.0, 0.1),
        Sensor("gauge", 5.0, 0.02, 0.1, 0.001),
        Sensor("gauge", 20.0, 0.15, 0.01, 0.24),
        Sensor("average", 0.3, 0.01, 0.1, 0.0009759),
        Sensor("counter", 300.0, 3.0, 0.1, 0.001, 4.1e6),
        Sensor("counter", 20.0, 0.5, 0.001, 2**-14, 52649.0),
    ],
    ids=["smart plug", "INA3221", "INA3221 of an AGX Orin", "PMIC", "NVML counter", "RAPL"],
)
def test_period_step_and_noise_of_a_quantized_sensor(sensor: Sensor) -> None:
    found = character(*sensor.readings(), sensor.kind)
    assert found.update_period_s == pytest.approx(sensor.period_s, rel=0.05)
    assert found.lsb == pytest.approx(sensor.lsb, rel=1e-3)
    step_w = sensor.lsb / (sensor.period_s if sensor.kind == "counter" else 1) / np.sqrt(12)
    assert found.noise == pytest.approx(np.hypot(sensor.noise_w, step_w), rel=0.3)
    assert found.n == 1500


@pytest.mark.parametrize("kind", ["gauge", "counter"])
def test_a_sensor_without_steps_has_none(kind: str) -> None:
    for n_updates in (2, 3, 5, 20, 300):
        assert character(*Sensor(kind, 5.0, 0.02, 0.01, 1e-13).readings(n_updates), kind).lsb is None


def test_a_coarse_sensor_that_seldom_changes_does_not_seem_slow() -> None:
    sensor = Sensor("gauge", 5.0, 0.06, 0.1, 0.24)
    assert character(*sensor.readings(2000)).update_period_s == pytest.approx(0.1, rel=0.05)


def test_a_sensor_that_shows_two_values_only_has_their_distance_for_a_step() -> None:
    assert character(*Sensor("gauge", 5.1, 0.01, 0.1, 0.12).readings()).lsb == pytest.approx(0.12)


def test_one_that_never_changes_has_no_known_period_and_no_step() -> None:
    t_ns = np.arange(100) * 10_000_000
    assert character(t_ns, np.full(100, 5.1)) == (None, None, 0.0, 100)
    assert character(t_ns, np.full(100, 5.1), "counter") == (None, None, None, 100)
    assert character(t_ns[:0], np.array([])) == (None, None, None, 0)
    assert character(t_ns, np.full(100, np.nan)) == (None, None, None, 0)


def test_a_counter_that_starts_anew_makes_no_noise() -> None:
    sensor = Sensor("counter", 300.0, 3.0, 0.1, 0.001)
    t_ns, values = sensor.readings()
    assert character(t_ns, values % 4000, "counter").noise == pytest.approx(
        character(t_ns, values, "counter").noise, rel=0.05
    )
