"""Counters: wraps, resets, updates that are dated, standing still."""

from __future__ import annotations

import math
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from edgeq.stats.energy import integrate
from tests.signals import JITTER, Instrument, constant, record, square, steps, tells, window


@settings(max_examples=50, deadline=None)
@given(
    st.floats(0, 1),
    st.floats(200, 3000),
    st.sampled_from([0.01, 0.1]),
    st.sampled_from([None, 100.0]),
    st.integers(0, 2**32 - 1),
)
def test_wherever_a_counter_wraps_nothing_is_lost(
    start: float, wraps_at: float, update_s: float, max_w: float | None, seed: int
) -> None:
    signal = constant(15) + steps((20.0,), (0, 40)) + square(1.7, 20)
    plain = Instrument("counter", 0.05, update_s=update_s, jitter=JITTER)
    t = plain.polled(0, 60, np.random.default_rng(seed))
    wrapping = replace(plain, start_j=start * wraps_at, wraps_at=wraps_at, max_w=max_w)
    windows = [window(10, 25), window(30, 55)]
    expected = integrate(plain.trace(signal, t), windows)
    assert integrate(wrapping.trace(signal, t), windows).joules == pytest.approx(expected.joules)


@settings(max_examples=50, deadline=None)
@given(st.floats(0, 0.95), st.floats(10.5, 49.5), st.sampled_from([None, 200.0]), st.sampled_from([None, 3000.0]))
def test_a_reset_is_never_a_wrap(start: float, at: float, max_w: float | None, wraps_at: float | None) -> None:
    signal = constant(20)
    i = Instrument("counter", 0.05, update_s=0.02, start_j=3000 * start, max_w=max_w)
    t = i.polled(0, 60)
    shown = i.shown(signal, t)
    last = float(shown[t < at][-1])
    # So close to the end of its range even a wrap would look like this.
    assume(abs(last % 3000 - 3000) > 20)
    if wraps_at:
        shown %= wraps_at
    shown[t >= at] -= shown[t >= at][0] - 0.1
    trace = record(replace(i, wraps_at=wraps_at).channel(), t, shown)
    across = integrate(trace, [window(at - 5, at + 5)])
    assert across.joules is None
    assert tells(across, t[t >= at][0] - at + 5, "the counter was reset")
    for a, b in ((at - 9, at - 0.2), (at + 0.2, at + 9)):
        assert integrate(trace, [window(a, b)]).joules == pytest.approx(20 * (b - a), rel=0.01)


def test_a_counter_that_may_wrap_between_two_readings_is_not_trusted() -> None:
    i = Instrument("counter", 1.0, update_s=0.01, wraps_at=50.0)
    trace = i.trace(constant(20), i.polled(0, 300))
    assert "may have wrapped unseen" in integrate(trace, [window(50, 250)]).missing
    assert integrate(replace(i, wraps_at=70.0).trace(constant(20), i.polled(0, 300)), [window(50, 250)]).joules


def test_an_update_is_dated_within_its_period_even_if_polls_are_rare() -> None:
    i = Instrument("counter", 0.05, update_s=0.01, turn=0.3, jitter=JITTER)
    signal = constant(5) + steps((50,), (0, 100))
    off, noise_j = [], 0.0
    for seed in range(30):
        reading = integrate(i.trace(signal, i.polled(0, 100, np.random.default_rng(seed))), [window(40, 60)])
        off.append((reading.joules or 0.0) - signal.joules((40, 60)))
        noise_j = reading.noise_j
    # Both edges lie within 5 ms of the truth, at random and not on one side of it.
    assert max(map(abs, off)) < 0.005 * (5 + 105)
    assert abs(np.mean(off)) < 0.005 * 105 / 4
    assert noise_j == pytest.approx(0.005 * math.hypot(5, 105) / math.sqrt(3), rel=0.05)


def test_a_counter_that_moves_more_slowly_than_was_declared_is_believed() -> None:
    i = Instrument("counter", 0.01, update_s=0.1)
    t = i.polled(0, 20)
    hasty = msgspec.structs.replace(i.channel(), update_period_s=0.001)
    assert "needs 5 s" in integrate(record(hasty, t, i.shown(constant(20), t)), [window(5, 9)]).missing


def test_a_counter_that_declares_no_period_is_as_slow_as_its_polls_allow() -> None:
    i = Instrument("counter", 0.05, update_s=0.05)
    t = i.polled(0, 20)
    silent = msgspec.structs.replace(i.channel(), update_period_s=None)
    assert "needs 5 s" in integrate(record(silent, t, i.shown(constant(20), t)), [window(5, 9)]).missing


def test_a_counter_at_rest_has_used_nothing() -> None:
    """A GPU that is switched off: its counter stands still, and the first step afterwards is not spread backwards."""
    i = Instrument("counter", 0.05, update_s=0.1, lsb=0.001)
    trace = i.trace(steps((60,), (0, 80)), i.polled(0, 120))
    assert integrate(trace, [window(10, 60)]).joules == pytest.approx(0, abs=0.1 * 80)
    assert integrate(trace, [window(10, 59.8)]).joules == 0
    assert integrate(i.trace(constant(0), i.polled(0, 60)), [window(10, 50)]).joules == 0


def test_a_counter_may_rest_unread_between_the_edges_of_an_idle_phase() -> None:
    i = Instrument("counter", 0.05, update_s=0.1)
    t = np.concatenate(([0.0, 0.01, 30.02], np.arange(30.03, 60, 0.05)))
    trace = i.trace(steps((30.02,), (12, 90)), t)
    reading = integrate(trace, [window(0.012, 30.018)])
    assert reading.joules == pytest.approx(12 * 30.006, rel=0.01)
    assert reading.noise_j < 0.01 * 12 * 30


def test_a_counter_with_a_coarse_last_digit_is_read_where_it_moves() -> None:
    """A battery's gauge moves in steps of 10 mWh: between them energy is not what it last showed."""
    rng = np.random.default_rng(3)
    off = []
    for _ in range(40):
        i = Instrument("counter", 0.5, update_s=1, turn=rng.random(), jitter=JITTER, lsb=36, start_j=rng.uniform(0, 36))
        signal = constant(rng.uniform(3, 30))
        reading = integrate(i.trace(signal, i.polled(0, 200, rng)), [window(40, 160)])
        off.append((reading.joules or 0) - signal.joules((40, 160)))
        assert 36 / math.sqrt(12) / 2 < reading.noise_j < 2 * 36
    # A reading of the plain difference would be wrong by 36 / √6.
    assert float(np.sqrt(np.mean(np.square(off)))) < 36 / math.sqrt(6) / 2
