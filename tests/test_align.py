"""A meter's own clock on the host's: the true offset is found, and a meter that sees another machine is refused."""

from __future__ import annotations

from itertools import accumulate

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edgeq.records import Channel, Trace
from edgeq.stats.align import Alignment, align, shifted

Bursts = list[tuple[int, int]]
HOST_NS = 5_000_000_000_000
GROUP_S = 10.0
IDLE_W, BUSY_W = 4.0, 9.0


def bursts(rng: np.random.Generator, unit_s: float, run_s: float) -> Bursts:
    """Four bursts before and after a run, lengths and pauses of 1 to 4 units."""
    found: Bursts = []
    t_s = 30.0
    for _ in range(2):
        for _ in range(4):
            length_s, pause_s = unit_s * rng.uniform(1, 4, 2)
            found.append((HOST_NS + round(t_s * 1e9), HOST_NS + round((t_s + length_s) * 1e9)))
            t_s += length_s + pause_s
        t_s += GROUP_S + run_s + GROUP_S
    return found


def energy_j(busy: Bursts, end_s: float) -> tuple[np.ndarray, np.ndarray]:
    """(seconds, joules up to then) of a machine that bursts, runs its tests in between and bursts again."""
    edges, watts = [0.0], []
    work = [*busy[:4], (busy[3][1] + round(2 * GROUP_S * 1e9 - 5e9), busy[4][0] - round(5e9)), *busy[4:]]
    for begin, stop in work:
        edges += [(begin - HOST_NS) / 1e9, (stop - HOST_NS) / 1e9]
        watts += [IDLE_W, BUSY_W]
    edges.append(end_s)
    watts.append(IDLE_W)
    joules = [0.0, *accumulate(w * d for w, d in zip(watts, np.diff(edges), strict=True))]
    return np.array(edges), np.array(joules)


def metered(
    busy: Bursts, kind: str, period_s: float, offset_ns: int, drift: float, noise_w: float, rng: np.random.Generator
) -> Trace:
    """What a meter says whose clock is ahead by an offset and too fast by a drift."""
    end_s = (busy[-1][1] - HOST_NS) / 1e9 + 30
    t_s = np.arange(period_s * (1 + rng.random()), end_s, period_s)
    edges, joules = energy_j(busy, end_s)
    upto = np.interp(t_s, edges, joules)
    if kind == "counter":
        value = np.round(upto / 0.1) * 0.1
    elif kind == "average":
        value = (upto - np.interp(t_s - period_s, edges, joules)) / period_s + rng.normal(0, noise_w, len(t_s))
    else:
        value = np.diff(joules)[np.searchsorted(edges, t_s) - 1] / np.diff(edges)[np.searchsorted(edges, t_s) - 1]
        value = value + rng.normal(0, noise_w, len(t_s))
    device_ns = np.rint(t_s * (1 + drift) * 1e9).astype("<i8") + offset_ns
    energy = kind == "counter"
    channel = Channel(
        "m", "energy" if energy else "power", kind, "J" if energy else "W", "wall",  # type: ignore[arg-type]
        window_s=period_s if kind == "average" else None, clock="device",
    )  # fmt: skip
    return Trace(channel, device_ns.tobytes(), value.astype("<f8").tobytes())


def error_s(busy: Bursts, trace: Trace, alignment: Alignment, offset_ns: int, drift: float) -> float:
    """By how much the worst of all samples is misplaced."""
    device_ns = np.frombuffer(trace.t_ns_i64, "<i8")
    host_ns = np.frombuffer(shifted(trace, alignment).t_ns_i64, "<i8")
    true_ns = HOST_NS + (device_ns - offset_ns) / (1 + drift)
    return float(np.abs(host_ns - true_ns).max()) / 1e9


@settings(max_examples=25, deadline=None)
@example("average", 0.05, 0.0, 100e-6, 1800.0, 1)
@example("counter", 1.0, 1.8e9, -100e-6, 1800.0, 2)
@given(
    kind=st.sampled_from(["gauge", "average", "counter"]),
    period_s=st.sampled_from([0.05, 0.3, 1.0]),
    offset_s=st.floats(-1e9, 2e9),
    drift=st.floats(-100e-6, 100e-6),
    run_s=st.floats(20, 1800),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_offset_is_found_to_half_an_update_period(
    kind: str, period_s: float, offset_s: float, drift: float, run_s: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    busy = bursts(rng, 2.0 * max(period_s, 0.5), run_s)
    offset_ns = round(offset_s * 1e9)
    trace = metered(busy, kind, period_s, offset_ns, drift, 0.3, rng)
    alignment = align(trace, busy)
    assert alignment.ok, alignment.text
    assert alignment.correlation >= 0.8
    assert error_s(busy, trace, alignment, offset_ns, drift) <= period_s / 2
    assert shifted(trace, alignment).channel.clock == "host"


@pytest.mark.parametrize("seed", range(20))
def test_a_meter_of_another_machine_is_refused(seed: int) -> None:
    rng = np.random.default_rng(seed)
    busy = bursts(rng, 2.0, 300)
    others = bursts(np.random.default_rng(seed + 1000), 2.0, 300)
    trace = metered(others, "average", 1.0, 0, 0.0, 0.3, rng)
    alignment = align(trace, busy)
    assert not alignment.ok
    assert "can't be aligned" in alignment.text
    with pytest.raises(ValueError, match="aligned"):
        shifted(trace, alignment)


@pytest.mark.parametrize("seed", range(5))
def test_noise_is_refused(seed: int) -> None:
    rng = np.random.default_rng(seed)
    busy = bursts(rng, 2.0, 300)
    trace = metered(busy, "gauge", 1.0, 0, 0.0, 100.0, rng)
    assert not align(trace, busy).ok


@pytest.mark.parametrize("drift", [-5e-3, -800e-6, 800e-6, 5e-3])
def test_a_clock_that_runs_away_is_refused(drift: float) -> None:
    rng = np.random.default_rng(3)
    busy = bursts(rng, 2.0, 1800)
    assert not align(metered(busy, "average", 1.0, 0, drift, 0.1, rng), busy).ok


@pytest.mark.parametrize("seed", range(10))
def test_bursts_that_only_few_values_fall_into_are_no_evidence(seed: int) -> None:
    # Somewhere in noise there is always a place where five values correlate by 0.8.
    times_s = [(30, 31.5), (33, 35), (95, 97), (98.2, 99.5)]
    busy = [(HOST_NS + round(a * 1e9), HOST_NS + round(b * 1e9)) for a, b in times_s]
    value = np.random.default_rng(seed).normal(5, 1, 130)
    device_ns = np.arange(len(value)) * 10**9
    channel = Channel("m", "power", "gauge", "W", "wall", clock="device")
    assert not align(Trace(channel, device_ns.astype("<i8").tobytes(), value.tobytes()), busy).ok


def test_a_recording_that_misses_the_last_bursts_is_refused() -> None:
    rng = np.random.default_rng(5)
    busy = bursts(rng, 2.0, 60)
    trace = metered(busy, "average", 1.0, 0, 0.0, 0.1, rng)
    cut = Trace(trace.channel, trace.t_ns_i64[: 8 * 50], trace.value_f64[: 8 * 50])
    assert "not recorded from before" in align(cut, busy).text
    assert "two groups" in align(trace, busy[:2]).text
    assert "two groups" in align(trace, []).text
    assert "too few values" in align(Trace(trace.channel, b"", b""), busy).text


def test_power_is_followed_through_gaps_and_a_counter_that_restarts() -> None:
    rng = np.random.default_rng(6)
    busy = bursts(rng, 2.0, 120)
    trace = metered(busy, "counter", 0.5, 0, 0.0, 0.0, rng)
    value = np.frombuffer(trace.value_f64).copy()
    value[100:] -= value[100]
    value[[20, 150, 151, 152]] = np.nan
    alignment = align(Trace(trace.channel, trace.t_ns_i64, value.tobytes()), busy)
    assert alignment.ok, alignment.text
    assert error_s(busy, trace, alignment, 0, 0.0) < 0.25
