"""The uncertainty that comes with an energy: as large as the error that is really made."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from edgeq.stats.energy import Reading, integrate, total
from edgeq.stats.phases import phase_energy
from tests.signals import JITTER, Instrument, Kind, Signal, constant, needs_s, ramp, sine, square, steps, window


def _out_of_step_hz(rng: np.random.Generator, i: Instrument) -> float:
    """Of a fluctuation that does not keep step with the updates, as otherwise no sensor could tell."""
    while True:
        turns = (hz := 10 ** rng.uniform(-1.5, 2.3)) * i.update_s
        if turns < 0.03 or abs(turns - round(turns)) > 0.03:
            return hz


def _any_signal(rng: np.random.Generator, i: Instrument, what: str, load_s: list[tuple[float, float]]) -> Signal:
    """A base, with more in the windows than around them, or with fluctuations."""
    base = rng.uniform(2, 30)
    signal = constant(base)
    if "load" in what:
        load = base * rng.uniform(0.2, 4)
        levels = [w for _ in load_s for w in (load * rng.uniform(0, 0.3), load * rng.uniform(0.95, 1.05))]
        signal += steps([t for w in load_s for t in w], [0, *levels[1:], 0])
    if "swing" in what:
        signal += square(_out_of_step_hz(rng, i), base * rng.uniform(0.1, 0.8), rng.uniform(0.2, 0.8), rng.random())
        signal += sine(_out_of_step_hz(rng, i), base * rng.uniform(0.05, 0.5), rng.uniform(0, 6))
    return signal


def _any_instrument(rng: np.random.Generator, kind: Kind) -> Instrument:
    update_s = 10 ** rng.uniform(-2.5, 0)
    return Instrument(
        kind,
        poll_s=max(0.01, update_s * 10 ** rng.uniform(-1, 1.2)),
        update_s=update_s,
        window_s=update_s * rng.choice([0.25, 0.5, 1, 1, 5, 10]),
        turn=rng.random(),
        jitter=JITTER,
        lsb=rng.choice([0, 0.04, 0.4]),
    )


def _repetitions(rng: np.random.Generator, i: Instrument) -> list[tuple[float, float]]:
    n, shortest = int(rng.choice([1, 1, 3, 10])), needs_s(i)
    length, pause = shortest * rng.uniform(1, 3) / math.sqrt(n), rng.choice([0.0005, 0.002, 0.05]) * shortest / n
    return [(t, t + length) for t in 2 * shortest + (length + pause) * np.arange(n)]


@pytest.mark.parametrize("what", ["steady", "load", "swing", "load and swing"])
@pytest.mark.parametrize("kind", ["counter", "gauge", "average"])
def test_two_standard_uncertainties_cover_the_truth_in_about_95_of_100_cases(kind: Kind, what: str) -> None:
    rng = np.random.default_rng(20)
    off: list[float] = []
    for _ in range(250):
        i = _any_instrument(rng, kind)
        load_s = _repetitions(rng, i)
        signal, end = _any_signal(rng, i, what, load_s), load_s[-1][1] + needs_s(i)
        reading = integrate(i.trace(signal, i.polled(0, end, rng)), [window(*w) for w in load_s])
        if reading.joules is not None:
            truth = signal.joules(*load_s)
            off.append((reading.joules - truth) / max(reading.noise_j, 1e-7 * truth))
    assert len(off) > 100
    assert 0.9 <= np.mean(np.abs(off) <= 2) <= 1
    # Nor is that bought by saying nothing.
    assert what == "steady" or float(np.sqrt(np.mean(np.clip(off, -4, 4) ** 2))) > 0.4


def test_means_without_a_gap_between_them_are_only_as_certain_as_their_dates() -> None:
    rng = np.random.default_rng(4)
    off = []
    for _ in range(100):
        i = Instrument("average", 1.2, update_s=1, window_s=1, turn=rng.random(), jitter=JITTER)
        signal = constant(10) + square(rng.uniform(0.05, 0.2), 10, phase=rng.random())
        reading = integrate(i.trace(signal, i.polled(0, 200, rng)), [window(30, 170)])
        off.append(((reading.joules or 0) - signal.joules((30, 170))) / reading.noise_j)
    assert np.mean(np.abs(off) <= 2) >= 0.9


@pytest.mark.parametrize("kind", ["counter", "gauge", "average"])
def test_so_do_those_of_gross_and_net_energy_with_the_meters_limits(kind: Kind) -> None:
    rng = np.random.default_rng(21)
    gross, net = [], []
    for _ in range(120):
        i = replace(_any_instrument(rng, kind), gain=1 + rng.uniform(-0.02, 0.02), gain_error=0.02)
        if kind != "counter":
            i = replace(i, offset_w=rng.uniform(-0.5, 0.5), offset_error=0.5)
        load_s, shortest = _repetitions(rng, i), needs_s(i)
        end = load_s[-1][1] + 2 * shortest
        idle_s = (0.5 * shortest, 1.7 * shortest), (end - 1.7 * shortest, end - 0.5 * shortest)
        base_drift = ramp(0, end, 0, rng.uniform(0, 2))
        signal = _any_signal(rng, i, "load and swing", load_s) + base_drift
        trace = i.trace(signal, i.polled(0, end, rng))
        found = phase_energy([trace], [window(*w) for w in load_s], window(*idle_s[0]), window(*idle_s[1]))
        if found.gross_j and found.net_j and found.gross_j.se and found.net_j.se:
            used, idle_w = signal.joules(*load_s), signal.joules(*idle_s) / (2 * 1.2 * shortest)
            gross.append((found.gross_j.value - used) / found.gross_j.se)
            net.append((found.net_j.value - used + idle_w * found.window_s) / found.net_j.se)
    for off in (gross, net):
        assert len(off) > 100
        assert 0.9 <= np.mean(np.abs(off) <= 2) <= 1
        assert float(np.sqrt(np.mean(np.clip(off, -4, 4) ** 2))) > 0.4


def test_a_reading_stuck_on_one_code_does_not_become_more_certain() -> None:
    i = Instrument("gauge", 0.01, update_s=0.01, lsb=0.4)
    short, long = (integrate(i.trace(constant(2.5), i.polled(0, 70)), [window(5, 5 + d)]) for d in (4, 64))
    assert (short.noise_j / 4, long.noise_j / 64) == pytest.approx((0.4 / math.sqrt(12),) * 2)
    noisy = i.trace(constant(2.5) + square(7.3, 4, 0.37) + sine(0.9, 2), i.polled(0, 70))
    assert integrate(noisy, [window(5, 69)]).noise_j / 64 < 0.4 / math.sqrt(12) / 2


def test_gains_of_one_instrument_err_together_and_noise_does_not() -> None:
    a = Reading(10, 30.0, 3.0, gain=0.01, offset_w=0.1, max_w=9.0)
    b = Reading(10, 10.0, 4.0, gain=0.05, offset_w=0.2, max_w=9.0)
    both = total([a, b])
    assert both == Reading(10, 40.0, 5.0, pytest.approx((0.3 + 0.5) / 40), pytest.approx(0.3), None)
    assert total([a]) == a
    assert total([a, Reading(10, None, missing="No.")]).missing == "No."
