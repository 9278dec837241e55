"""The throttling verdict: what counts as evidence, what does not, and when nothing can be said."""

from __future__ import annotations

import numpy as np
import pytest

from edgeq.records import Channel, Phase, Throttling, Trace
from edgeq.stats.throttling import verdict

S = 1_000_000_000
# Idle for 30 s, ten prefills of 2 s and ten decodes of 8 s back to back, idle for 30 s.
TIMED = [
    *(Phase("prefill", "pp512", i, 512, (30 + 2 * i) * S, (32 + 2 * i) * S) for i in range(10)),
    *(Phase("decode", "tg128", i, 128, (50 + 8 * i) * S, (58 + 8 * i) * S) for i in range(10)),
]
TIMED_S, END_S = 100, 160


def trace(name: str, unit: str, value, period_s: float = 0.2, end_s: float = END_S, sensor: str = "chip") -> Trace:  # type: ignore[no-untyped-def]
    """A channel of throttling (flag, events, s) or frequency (Hz), its value a function of time in seconds."""
    t_s = np.arange(0, end_s, period_s)
    quantity, kind = ("frequency", "gauge") if unit == "Hz" else ("throttle", "gauge" if unit == "flag" else "counter")
    channel = Channel(name, quantity, kind, unit, "package", sensor=sensor)
    values = np.array([float(value(t)) for t in t_s])
    return Trace(channel, (t_s * S).astype("<i8").tobytes(), values.astype("<f8").tobytes())


def clock(value, name: str = "arm") -> Trace:  # type: ignore[no-untyped-def]
    return trace(name, "Hz", value)


QUIET = trace("under-voltage", "flag", lambda t: 0)


@pytest.mark.parametrize(
    ("name", "unit", "value", "share"),
    [
        ("throttled", "flag", lambda t: 80 <= t < 105, 0.25),
        ("thermal violation", "s", lambda t: 4000 + max(0, min(t, 120) - 100), 0.20),
        # The counter starts anew within the run.
        ("power violation", "s", lambda t: 4000 + max(0, t - 100) if t < 110 else t - 110, 0.29),
        ("core throttle", "events", lambda t: 17 + (t > 90), None),
    ],
    ids=["flag", "seconds", "seconds with a reset", "events"],
)
def test_what_the_device_reports_in_the_timed_phases_is_confirmed(name, unit, value, share) -> None:  # type: ignore[no-untyped-def]
    found = verdict([QUIET, trace(name, unit, value)], TIMED)
    assert (found.verdict, found.reason) == ("confirmed", name)
    assert found.share == (None if share is None else pytest.approx(share, abs=0.01))


@pytest.mark.parametrize(
    ("unit", "value"),
    [
        ("flag", lambda t: t < 29 or t > 131),
        ("flag", lambda t: 80 <= t < 80.5),
        ("s", lambda t: min(t, 30) + max(0, t - 130)),
        ("events", lambda t: 17 + (t > 20) + (t > 140)),
        ("events", lambda t: 17),
        ("flag", lambda t: float("nan") if t < 29 else 0),
    ],
    ids=["flag when idle", "flag for less than 1 %", "seconds when idle", "events when idle", "events long ago", "NaN"],
)
def test_what_happens_outside_of_the_timed_phases_does_not_count(unit, value) -> None:  # type: ignore[no-untyped-def]
    assert verdict([trace("power cap", unit, value)], TIMED) == Throttling("none", "nothing reported by chip")


def test_an_event_that_more_likely_happened_outside_does_not_count() -> None:
    # Read at 24 s and 32 s; the work begins at 30 s.
    assert verdict([trace("core throttle", "events", lambda t: t > 28, period_s=8)], TIMED).verdict == "none"


def test_reasons_are_listed_and_the_longest_gives_the_share() -> None:
    traces = [trace("throttled", "flag", lambda t: 80 <= t < 90), trace("soft limit", "flag", lambda t: 80 <= t < 120)]
    found = verdict([*traces, trace("core throttle", "events", lambda t: t)], TIMED)
    assert found.reason == "throttled, soft limit, core throttle"
    assert found.share == pytest.approx(0.4, abs=0.01)


def test_a_clock_that_falls_under_load_is_suspected_even_if_no_flag_is_set() -> None:
    found = verdict([QUIET, clock(lambda t: 2.4e9 if t < 90 else 1.8e9)], TIMED)
    assert (found.verdict, found.reason) == ("suspected", "arm at 75% of its value at the start")
    assert found.share == pytest.approx(0.4, abs=0.01)


@pytest.mark.parametrize(
    "value",
    [
        lambda t: 2.4e9 if 30 <= t < 130 else 0.6e9,
        lambda t: 2.4e9 * (1 + 0.03 * np.sin(t)),
        lambda t: 2.4e9 if not 60 <= t < 65 else 1.5e9,
        lambda t: 2.8e9 if t < 50 else 2.3e9,
    ],
    ids=["slow when idle", "within 5 %", "for a moment", "prefill and decode at clocks of their own"],
)
def test_steady_clocks_are_a_weak_none(value) -> None:  # type: ignore[no-untyped-def]
    assert verdict([clock(value)], TIMED) == Throttling("none", "clocks steady")


def test_threads_that_move_between_cores_are_no_throttling() -> None:
    cores = [clock(lambda t, i=i: 2.4e9 if (t // 40 % 2 == i) else 0.6e9, f"cpu{i}") for i in (0, 1)]
    assert verdict(cores, TIMED).verdict == "none"


def test_an_idle_core_that_wanders_tells_nothing() -> None:
    wanders = clock(lambda t: (2.4e9 if t < 90 else 1.2e9) * (1 + 0.3 * np.sin(7 * t)))
    assert verdict([wanders], TIMED) == Throttling("unknown", "no sensor tells")


@pytest.mark.parametrize(
    "traces",
    [
        [],
        [trace("throttled", "flag", lambda t: 0, end_s=80)],
        [trace("core throttle", "events", lambda t: 3, end_s=80)],
        [trace("throttled", "flag", lambda t: float("nan"))],
        [trace("arm", "Hz", lambda t: 2.4e9, period_s=20)],
    ],
    ids=["no sensor", "flag died", "counter died", "no truth", "too few clocks"],
)
def test_silence_is_only_worth_what_could_have_spoken(traces: list[Trace]) -> None:
    assert verdict(traces, TIMED) == Throttling("unknown", "no sensor tells")


def test_phases_shorter_than_the_sampling_still_see_a_counter_grow() -> None:
    short = [Phase("prefill", "pp512", i, 512, 60 * S + i * S // 5, 60 * S + (i + 1) * S // 5) for i in range(10)]
    throttled = trace("core throttle", "events", lambda t: 5 * (t > 60.5), period_s=1.0)
    assert verdict([throttled], short).verdict == "confirmed"
