"""Energy from traces: within bounds known beforehand, the same however it is cut or polled, or refused for a reason."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeq.stats.energy import integrate
from edgeq.stats.traces import VOID
from tests.signals import (
    JITTER,
    Instrument,
    Signal,
    constant,
    needs_s,
    ramp,
    record,
    sine,
    square,
    steps,
    tells,
    window,
)

KINDS = st.sampled_from(["counter", "gauge", "average"])


@st.composite
def instruments(draw: st.DrawFn) -> Instrument:
    """Sensors of all kinds, read faster or more slowly than they are updated."""
    update_s = draw(st.floats(0.005, 0.5))
    return Instrument(
        draw(KINDS),
        poll_s=update_s * draw(st.floats(0.1, 5)),
        update_s=update_s,
        window_s=update_s * draw(st.sampled_from([0.25, 1, 5])),
        turn=draw(st.floats(0, 1)),
        jitter=JITTER,
        lsb=draw(st.sampled_from([0.0, 0.01, 0.4])),
    )


@st.composite
def signals(draw: st.DrawFn, span_s: float) -> Signal:
    """A base with jumps, a ramp, a swing and a beat, each of any size."""
    cuts = sorted(draw(st.lists(st.floats(0, span_s), max_size=4, unique=True)))
    watts = [draw(st.floats(0, 50)) for _ in range(len(cuts) + 1)]
    begin, high = draw(st.floats(0, span_s / 2)), draw(st.floats(0, 20))
    return (
        steps(cuts, watts)
        + ramp(begin, begin + span_s / 4, 0, high)
        + constant(10)
        + sine(draw(st.floats(0.05, 50)), draw(st.floats(0, 10)))
        + square(draw(st.floats(0.05, 50)), draw(st.floats(0, 10)), draw(st.floats(0.1, 0.9)))
    )


@settings(max_examples=80, deadline=None)
@given(st.data(), instruments(), st.integers(0, 2**32 - 1))
def test_energy_lies_within_a_bound_computed_from_signal_and_sensor(st_data, i: Instrument, seed: int) -> None:  # type: ignore[no-untyped-def]
    """What is shown at a time is the signal's value, or its mean, at most ``far`` s away."""
    length = needs_s(i)
    signal = st_data.draw(signals(3 * length))
    trace = i.trace(signal, i.polled(0, 3 * length, np.random.default_rng(seed)))
    begin, end = length, 2 * length + st_data.draw(st.floats(0, 0.5)) * length
    reading = integrate(trace, [window(begin, end)])
    far = (1 + JITTER) * i.poll_s + i.update_s + (i.window_s if i.kind == "average" else 0)
    if i.kind == "counter":
        bound = 2 * (2 * far * signal.high_w + i.lsb)
    else:
        bound = 2 * far * signal.variation_w(begin - far, end + far) + i.lsb / 2 * (end - begin)
    assert reading.joules == pytest.approx(signal.joules((begin, end)), abs=bound + 1e-6)


@settings(max_examples=50, deadline=None)
@given(st.data(), instruments(), st.integers(0, 2**32 - 1))
def test_windows_add_up(st_data, i: Instrument, seed: int) -> None:  # type: ignore[no-untyped-def]
    length = needs_s(i)
    signal = st_data.draw(signals(4 * length))
    trace = i.trace(signal, i.polled(0, 4 * length, np.random.default_rng(seed)))
    cut = length * st_data.draw(st.floats(1.6, 1.9))
    whole, *parts = (
        integrate(trace, [window(a, b)])
        for a, b in ((0.5 * length, 3 * length), (0.5 * length, cut), (cut, 3 * length))
    )
    both = integrate(trace, [window(cut, 3 * length), window(0.5 * length, cut)])
    assert sum(p.joules or 0 for p in parts) == pytest.approx(whole.joules)
    assert both.joules == pytest.approx(whole.joules)
    assert both.noise_j == pytest.approx(whole.noise_j, rel=0.5, abs=1e-6)


@settings(max_examples=50, deadline=None)
@given(st.data(), instruments(), st.integers(0, 2**32 - 1))
def test_extra_polls_of_the_same_value_change_nothing(st_data, i: Instrument, seed: int) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(seed)
    length = needs_s(i)
    signal = st_data.draw(signals(3 * length))
    t = i.polled(0, 3 * length, rng)
    again = np.sort(rng.choice(t, len(t) // 3, replace=False)) + 1e-6
    stamps, order = np.unique(np.concatenate((t, again)), return_index=True)
    shown = i.shown(signal, t)
    repeated = np.concatenate((shown, shown[np.searchsorted(t, again - 1e-6 / 2) - 1]))[order]
    once = integrate(i.trace(signal, t), [window(length, 2 * length)])
    twice = integrate(record(i.channel(), stamps, repeated), [window(length, 2 * length)])
    assert twice.joules == pytest.approx(once.joules, rel=1e-4)


def test_polling_a_slow_mean_more_often_does_not_change_it() -> None:
    signal = constant(10) + steps((30.03, 61.27), (0, 40, 5)) + square(0.31, 7)
    means = Instrument("average", 0.5, update_s=0.5, window_s=0.5, turn=0.2)
    fast, faster = (
        integrate(replace(means, poll_s=poll_s).trace(signal, np.arange(0, 200, poll_s)), [window(20.1, 150.3)]).joules
        for poll_s in (0.05, 0.005)
    )
    # An update is found at most one poll late, and then by half a poll on average.
    assert fast == pytest.approx(faster, abs=0.05 / 2 * signal.variation_w(20, 151) / 10)
    assert faster == pytest.approx(signal.joules((20.1, 150.3)), rel=2e-3)


@settings(max_examples=60, deadline=None)
@given(st.data(), instruments(), st.floats(1e-3, 1e3), st.integers(0, 2**32 - 1))
def test_another_unit_gives_the_same_in_that_unit(st_data, i: Instrument, scale: float, seed: int) -> None:  # type: ignore[no-untyped-def]
    i = replace(i, lsb=0.0, wraps_at=1e5)
    length = needs_s(i)
    signal = st_data.draw(signals(3 * length))
    t = i.polled(0, 3 * length, np.random.default_rng(seed))
    one, other = (
        integrate(j.trace(s, t), [window(length, 2 * length)])
        for j, s in ((i, signal), (i.scaled(scale), signal * scale))
    )
    assert other.joules == pytest.approx(one.joules * scale)
    assert other.noise_j == pytest.approx(one.noise_j * scale, rel=1e-6, abs=1e-7 * scale)


def test_a_plateau_of_repeated_values_is_not_thinned_to_its_ends() -> None:
    """10 W for 5 s and 50 W for 5 s are 300 J; the trapezoid over values that differ gives 150 J."""
    signal = steps((105.0,), (10, 50))
    for kind, late_s in (("average", 0.01), ("gauge", 0.01 + 0.1 / 2)):
        meter = Instrument(kind, 0.02, update_s=0.1, window_s=0.1)
        trace = meter.trace(signal, np.arange(90.01, 120, 0.02))
        assert integrate(trace, [window(100, 110)]).joules == pytest.approx(300, abs=late_s * (50 - 10))
    logged_on_change = record(Instrument("average", 5, update_s=5, window_s=5).channel(), (100, 105, 110), (10, 50, 50))
    assert integrate(logged_on_change, [window(100, 110)]).joules is None


@pytest.mark.parametrize(
    ("kind", "update_s", "poll_s", "needed_s"),
    [
        pytest.param("counter", 0.001, 0.001, 0.1, id="RAPL"),
        pytest.param("gauge", 0.0066, 0.01, 1, id="INA3221 at 100 Hz"),
        pytest.param("counter", 0.1, 0.1, 10, id="NVML"),
        pytest.param("counter", 0.02, 0.02, 2, id="NVML, older"),
        pytest.param("gauge", 0.1, 0.1, 10, id="PMIC"),
        pytest.param("average", 1, 1, 100, id="plug"),
        pytest.param("gauge", 5, 5, 500, id="Zigbee plug"),
        pytest.param("average", 1, 1.2, 100, id="plug, polled a little late"),
        # Updates are found by fast polls; what remains is where in one of them the phase began.
        pytest.param("counter", 0.1, 0.01, 5, id="NVML, polled fast"),
        pytest.param("counter", 0.001, 0.05, 2.5, id="RAPL, polled slowly"),
    ],
)
def test_shortest_windows(kind: str, update_s: float, poll_s: float, needed_s: float) -> None:
    i = Instrument(kind, poll_s, update_s=update_s, window_s=update_s)  # type: ignore[arg-type]
    trace = i.trace(constant(20), i.polled(0, 3 * needed_s))
    enough = integrate(trace, [window(needed_s, 2 * needed_s)])
    assert enough.joules == pytest.approx(20 * needed_s, rel=0.01)
    short = integrate(trace, [window(needed_s, 1.96 * needed_s)])
    assert short.joules is None
    had_s = float(f"{0.96 * needed_s:.2g}")
    needs = f"this channel needs {needed_s:g} s: use more repetitions or --min-window {needed_s:g}."
    assert short.missing == f"It lasted {had_s:g} s and {needs}"


def test_a_mean_over_a_second_needs_a_window_that_its_edges_do_not_spoil() -> None:
    i = Instrument("average", 0.05, update_s=0.1, window_s=1.0)
    trace = i.trace(constant(1) + steps((40, 65), (0, 99, 0)), i.polled(0, 100))
    assert integrate(trace, [window(40, 65)]).joules == pytest.approx(2500, rel=0.01)
    assert integrate(trace, [window(41, 65)]).joules is None


def test_repetitions_that_follow_each_other_are_one_long_window_and_separate_ones_are_not() -> None:
    i = Instrument("counter", 0.1, update_s=0.1)
    trace = i.trace(constant(20), i.polled(0, 100))
    following = [window(20 + 1.01 * n, 21 + 1.01 * n) for n in range(10)]
    assert integrate(trace, following).joules == pytest.approx(200, rel=0.01)
    separate = [window(20 + 2 * n, 21 + 2 * n) for n in range(10)]
    assert "needs 100 s" in integrate(trace, separate).missing


@pytest.mark.parametrize("kind", ["counter", "gauge", "average"])
@settings(max_examples=20, deadline=None)
@given(at=st.floats(2, 17), length=st.floats(0.1, 0.5))
def test_what_was_not_seen_spoils_only_the_windows_that_it_touches(kind, at: float, length: float) -> None:  # type: ignore[no-untyped-def]
    i = Instrument(kind, 0.01, update_s=0.01, window_s=0.01)
    signal, t = constant(20) + square(0.7, 10), i.polled(0, 20)
    shown = i.shown(signal, t)
    lost = (t > at) & (t < at + length)
    void = record(i.channel(), t, np.where(lost, np.nan, shown))
    silent = record(i.channel(), t[~lost], shown[~lost])
    for begin in range(1, 19):
        w, end = [window(begin, begin + 1)], begin + 1
        truth = pytest.approx(signal.joules((begin, end)), abs=2 * 0.02 * 30)
        if end < at - 0.03 or begin > at + length + 0.03:
            assert integrate(void, w).joules == integrate(silent, w).joules == truth
        elif begin < at and at + length < end:
            assert tells(integrate(void, w), t[lost][0] - begin, VOID)
            # A counter has counted while nobody looked.
            assert integrate(silent, w).joules == (truth if kind == "counter" else None)
        elif begin + 0.03 < at < end - 0.03 < at + length - 0.06:
            assert integrate(void, w).joules is None
            assert integrate(silent, w).missing.startswith("There was no reading for 0.")


def test_a_failed_reading_is_neither_zero_nor_a_gap_worth_mentioning() -> None:
    for kind in ("counter", "gauge", "average"):
        i = Instrument(kind, 0.01, update_s=0.01, window_s=0.01)
        t = np.delete(i.polled(0, 10), (300, 301, 500))
        assert integrate(i.trace(constant(20), t), [window(2, 8)]).joules == pytest.approx(120)


def test_readings_must_cover_the_window() -> None:
    i = Instrument("gauge", 0.01, update_s=0.01)
    trace = i.trace(constant(20), i.polled(3, 10))
    assert integrate(trace, [window(2, 8)]).missing == "The readings begin 1.0 s too late."
    assert integrate(trace, [window(5, 12)]).missing == "The readings end 2.0 s too early."
    assert integrate(trace, [window(3, 10)]).joules == pytest.approx(140)
    assert integrate(record(i.channel(), [1.0], [5.0]), [window(0, 2)]).missing
    assert integrate(trace, []).missing
    assert integrate(trace, [window(5, 5), window(6, 6)]).missing


def test_silence_is_named() -> None:
    i = Instrument("average", 0.05, update_s=0.1, window_s=0.1)
    t = i.polled(0, 60)
    trace = i.trace(constant(20), t[(t < 20) | (t > 24.2)])
    assert integrate(trace, [window(10, 40)]).missing == "There was no reading for 4.2 s."
    trace = i.trace(constant(20), t[(t < 20) | (t > 20.5)])
    assert integrate(trace, [window(10, 25)]).missing == "There was no reading for 0.6 s."
    # 2 % of a window may be missing.
    assert integrate(trace, [window(10, 50)]).joules == pytest.approx(800)


def test_what_a_device_stamped_itself_is_true_at_its_stamp() -> None:
    signal, t = ramp(0, 1000, 5, 105), np.arange(0, 1000, 1.0)
    for i, shown in (
        (Instrument("gauge", 1, update_s=1), signal.power),
        (Instrument("counter", 1, update_s=1), signal.energy),
    ):
        stamped = msgspec.structs.replace(i.channel(), clock="device")
        assert integrate(record(stamped, t, shown(t)), [window(300, 700)]).joules == pytest.approx(
            signal.joules((300, 700))
        )
