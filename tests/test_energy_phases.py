"""Energy of phases, gross and net: golden numbers, idle power and its drift, many channels."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edgeq.stats.phases import phase_energy
from tests.signals import Instrument, Signal, constant, steps, window


# Golden numbers: a smart plug's 148.0 W under load and 28.89 W at rest, at 75.41 t/s.
def test_joules_per_token_of_a_published_table() -> None:
    plug = Instrument("gauge", 5, update_s=5)
    trace = plug.trace(steps((580, 1160), (28.89, 148.0, 28.89)), plug.polled(0, 1740))
    found = phase_energy([trace], [window(600, 1140)], window(20, 560), window(1180, 1720))
    n_tokens = 75.41 * 540
    assert found.gross_j and found.net_j and found.idle_w and found.mean_w
    assert f"{found.gross_j.value / n_tokens:.3f} {found.net_j.value / n_tokens:.3f}" == "1.963 1.579"
    assert (found.mean_w.value, found.max_w, found.idle_w.value) == pytest.approx((148.0, 148.0, 28.89))
    assert (found.window_s, found.drift, found.missing) == (540, "", "")


def _three_phases(idle_w: tuple[float, float], load_w: float, **errors: float) -> tuple[Instrument, Signal]:
    return Instrument("gauge", 0.01, update_s=0.01, **errors), steps((40, 80), (idle_w[0], load_w, idle_w[1]))


IDLE_BEFORE, LOAD, IDLE_AFTER = window(5, 35), window(45, 75), window(85, 115)


def test_a_constant_offset_cancels_in_net_energy_and_gain_does_not() -> None:
    i, signal = _three_phases((5, 5), 25, offset_w=1.5, offset_error=2.0, gain_error=0.03)
    found = phase_energy([i.trace(signal, i.polled(0, 120))], [LOAD], IDLE_BEFORE, IDLE_AFTER, [window(10, 20)])
    assert found.net_j and found.gross_j and found.loaded_idle_w
    assert found.net_j.value == pytest.approx(600)
    assert found.net_j.se == pytest.approx(600 * 0.03 / math.sqrt(3))
    assert found.gross_j.value == pytest.approx(26.5 * 30)
    assert found.gross_j.se == pytest.approx(math.hypot(26.5 * 30 * 0.03, 2.0 * 30) / math.sqrt(3))
    assert found.loaded_idle_w.value == pytest.approx(6.5)


def test_drift_of_idle_power_is_said_and_counted() -> None:
    i, signal = _three_phases((5, 6), 25)
    found = phase_energy([i.trace(signal, i.polled(0, 120))], [LOAD], IDLE_BEFORE, IDLE_AFTER)
    assert found.drift == "Idle power was 5 W before the run and 6 W after it."
    assert found.net_j and found.net_j.value == pytest.approx((25 - 5.5) * 30)
    assert found.net_j.se == pytest.approx(30 / math.sqrt(12))
    i, signal = _three_phases((5, 5.1), 25)
    assert phase_energy([i.trace(signal, i.polled(0, 120))], [LOAD], IDLE_BEFORE, IDLE_AFTER).drift == ""
    # One code apart is no drift that this sensor could show.
    i, signal = _three_phases((4.8, 5.2), 25, lsb=0.4)
    assert phase_energy([i.trace(signal, i.polled(0, 120))], [LOAD], IDLE_BEFORE, IDLE_AFTER).drift == ""


def test_a_counter_of_joules_can_show_drift_as_fine_as_its_digit_over_the_idle_phase() -> None:
    signal = steps((40, 80), (5, 25, 5.3))
    for lsb, drifts in ((1.0, True), (10.0, False)):
        i = Instrument("counter", 0.01, update_s=0.01, lsb=lsb)
        found = phase_energy([i.trace(signal, i.polled(0, 120))], [LOAD], IDLE_BEFORE, IDLE_AFTER)
        assert bool(found.drift) == drifts


def test_noise_of_the_idle_phases_counts_for_as_long_as_the_load() -> None:
    i, signal = _three_phases((5, 5), 25, lsb=0.4)
    found = phase_energy([i.trace(signal, i.polled(0, 120))], [LOAD], IDLE_BEFORE, IDLE_AFTER)
    assert found.net_j and found.gross_j and found.idle_w
    one_code_w = 0.4 / math.sqrt(12)
    assert found.gross_j.se == pytest.approx(30 * one_code_w)
    assert found.idle_w.se == pytest.approx(one_code_w / math.sqrt(2))
    assert found.net_j.se == pytest.approx(30 * one_code_w * math.sqrt(1.5))


def test_net_energy_is_not_clipped() -> None:
    i, signal = _three_phases((5, 5), 4)
    found = phase_energy([i.trace(signal, i.polled(0, 120))], [LOAD], IDLE_BEFORE, IDLE_AFTER)
    assert found.net_j and found.net_j.value == pytest.approx(-30)


def test_idle_phases_that_can_not_be_measured_are_done_without() -> None:
    i, signal = _three_phases((5, 6), 25)
    trace = i.trace(signal, i.polled(0, 120))
    one = phase_energy([trace], [LOAD], IDLE_BEFORE, window(119.5, 120))
    assert one.net_j and one.net_j.value == pytest.approx(600)
    assert one.drift == (
        "Idle power is only known from before the run, so that its drift is not: it lasted 0.5 s and this channel "
        "needs 1 s."
    )
    none = phase_energy([trace], [LOAD], window(-30, -1), window(119.5, 120))
    assert none.net_j is None and none.idle_w is None and none.gross_j
    assert none.drift.startswith("Idle power could not be measured: the readings begin ")
    assert phase_energy([trace], [LOAD], None, None).drift == ""
    lost = phase_energy([trace], [window(75, 130)], IDLE_BEFORE, IDLE_AFTER)
    assert lost.gross_j is None and lost.net_j is None and lost.missing and lost.idle_w


def test_the_peak_of_a_sum_is_not_the_sum_of_peaks() -> None:
    i = Instrument("gauge", 0.01, update_s=0.01)
    t = i.polled(0, 20)
    one, other = constant(5) + steps((8, 9), (0, 10, 0)), constant(5) + steps((12, 13), (0, 10, 0))
    found = phase_energy([i.trace(one, t), i.trace(other, t)], [window(5, 15)], None, None)
    assert found.max_w == pytest.approx(20)
    assert found.gross_j and found.gross_j.value == pytest.approx(120, rel=1e-3)


def test_repetitions_that_differ_are_as_uncertain_as_they_differ() -> None:
    i = Instrument("gauge", 0.01, update_s=0.01)
    watts = [20, 22, 18, 21, 19]
    trace = i.trace(steps([10 + 5 * n for n in range(1, 5)], watts), i.polled(0, 50))
    reps = [window(10.001 + 5 * n, 14.999 + 5 * n) for n in range(5)]
    found = phase_energy([trace], reps, None, None)
    assert found.gross_j
    assert found.gross_j.se == pytest.approx(5 * float(np.std(watts, ddof=1)) * math.sqrt(5), rel=0.01)
