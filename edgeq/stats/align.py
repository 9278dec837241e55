"""A meter's own clock on the host's: found from bursts of load whose times the host knows.

All cores are busy for a while and idle for a while, several times over, in a group before the run and in one after it.
Where the meter's power follows that pattern in both groups, the two places tell the offset and the drift. The pauses
and bursts should differ in length: a regular pattern looks the same one period later.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view
from scipy.signal import fftconvolve
from scipy.stats import t as student

from edgeq.records import Trace
from edgeq.stats.estimates import F64
from edgeq.stats.samples import known, samples

I64 = npt.NDArray[np.int64]

_CORRELATION = 0.8
# Quartz drifts by some 100 ppm at most.
_DRIFT = 200e-6
# Probability that the best of all places that were tried fits as well by chance.
_CHANCE = 1e-3
_MIN_SAMPLES = 5
_COARSE = 10  # steps of the first search per shortest burst or pause
_FINE = 40  # steps of the second one to either side, over two of the first


@dataclass(frozen=True)
class Alignment:
    """host = device + offset_ns + drift * (device - origin_ns), or in ``text`` why there is none.

    ``correlation``: of power and load, the smaller one of the two groups. ``drift``: as a share, 1e-6 is 1 ppm.
    """

    offset_ns: int
    drift: float
    origin_ns: int
    correlation: float
    ok: bool
    text: str = ""


def align(trace: Trace, busy: Sequence[tuple[int, int]]) -> Alignment:
    """Where the bursts (t0_ns, t1_ns), on the host's clock, lie on the clock of a trace of power or energy.

    Accepted where the correlation is at least 0.8 in both groups, hardly by chance, and both ends agree with one line
    of at most 200 ppm to within half an update period.
    """
    bursts = sorted(busy)
    middle = _largest_gap(bursts)
    groups = [bursts[:middle], bursts[middle:]]
    if min(map(len, groups)) < 2:
        return _refused("there are not two groups of at least two bursts of load")
    meter = _Meter(trace)
    if len(meter.power) < 2 * _MIN_SAMPLES:
        return _refused("the meter has given too few values")
    zero_ns = bursts[0][0]
    patterns = [_Pattern([((a - zero_ns) / 1e9, (b - zero_ns) / 1e9) for a, b in group]) for group in groups]
    step_s = max(meter.period_s, min(p.shortest_s for p in patterns)) / _COARSE
    apart_s = patterns[1].begin_s - patterns[0].begin_s
    reach = math.ceil((meter.period_s + _DRIFT * apart_s) / step_s) + 1
    places = _coarse(patterns, meter, step_s, reach)
    if places is None:
        return _refused("the meter was not recorded from before the first to after the last burst")
    fits = [p.refine(meter, lag_s, step_s) for p, lag_s in zip(patterns, places.lags_s, strict=True)]
    correlation = min(f.correlation for f in fits)
    if not correlation >= _CORRELATION:
        return _refused(f"its power follows the load with a correlation of {max(0.0, correlation):.2f}", correlation)
    if places.n_tried * fits[0].chance * min(1.0, (2 * reach + 1) * fits[1].chance) > _CHANCE:
        return _refused("the bursts are too short for its update period to tell them from chance", correlation)
    return _line(fits, patterns, meter, zero_ns, correlation)


def shifted(trace: Trace, alignment: Alignment) -> Trace:
    """The trace on the host's clock. Raises ValueError where there is no alignment."""
    if not alignment.ok:
        raise ValueError(alignment.text)
    device_ns, _ = samples(trace)
    drifted_ns = np.rint((device_ns - alignment.origin_ns) * alignment.drift).astype(np.int64)
    host_ns: I64 = device_ns + alignment.offset_ns + drifted_ns
    return msgspec.structs.replace(
        trace, channel=msgspec.structs.replace(trace.channel, clock="host"), t_ns_i64=host_ns.astype("<i8").tobytes()
    )


class _Meter:
    """Mean power over the interval that each value is about, in seconds since the first value."""

    def __init__(self, trace: Trace) -> None:
        t_ns, value = known(trace)
        self.origin_ns = int(t_ns[0]) if len(t_ns) else 0
        t_s = (t_ns - self.origin_ns) / 1e9
        self.period_s = float(np.median(np.diff(t_s))) if len(t_s) > 1 else 0.0
        channel = trace.channel
        if channel.kind == "counter":
            forward = np.diff(value) >= 0  # elsewhere it has wrapped or was reset
            self.begin_s, self.end_s = t_s[:-1][forward], t_s[1:][forward]
            self.power: F64 = (np.diff(value) / np.diff(t_s))[forward]
            return
        # A value of one moment stands for the time around it, an average for the time before it.
        window_s = channel.window_s if channel.kind == "average" and channel.window_s else self.period_s
        end_s = t_s if channel.kind == "average" else t_s + window_s / 2
        self.begin_s, self.end_s, self.power = end_s - window_s, end_s, value


class _Fit(NamedTuple):
    """How well a group of bursts fits at one place, judged by ``n`` values of the meter."""

    lag_s: float
    correlation: float
    n: int

    @property
    def chance(self) -> float:
        """Probability that random values fit better: Student's test of a correlation."""
        r2 = min(self.correlation**2, 1 - 1e-12)
        return float(student.sf(np.sqrt(r2 / (1 - r2) * (self.n - 2)), self.n - 2))


class _Pattern:
    """One group of bursts, and as much of the pauses around it as is surely idle, in seconds of the host's clock."""

    def __init__(self, bursts: Sequence[tuple[float, float]]) -> None:
        starts, stops = np.array([a for a, _ in bursts]), np.array([b for _, b in bursts])
        pauses = starts[1:] - stops[:-1]
        self.shortest_s = float(min(pauses.min(), (stops - starts).min()))
        self.begin_s, self.end_s = float(starts[0]) - self.shortest_s / 2, float(stops[-1]) + self.shortest_s / 2
        self._edges = np.ravel(np.column_stack([starts, stops]))
        self._busy_s = np.repeat(np.cumsum(np.concatenate([[0.0], stops - starts])), 2)[1:-1]

    def sliding(self, power: F64, window_s: float, step_s: float) -> F64:
        """Pearson's correlation of load and power, with the group beginning at each of the power's steps."""
        t_s = np.arange(self.begin_s + step_s / 2, self.end_s, step_s)
        load = (self._busy_until(t_s + window_s / 2) - self._busy_until(t_s - window_s / 2)) / window_s
        load -= load.mean()
        n = len(load)
        if len(power) < n:
            return np.empty(0)
        ones = np.ones(n)
        squares = fftconvolve(power**2, ones, "valid") - fftconvolve(power, ones, "valid") ** 2 / n
        size = np.sqrt(np.maximum(squares, 1e-12 * n * power.var())) * np.sqrt(load @ load)
        return np.asarray(fftconvolve(power, load[::-1], "valid") / np.where(size > 0, size, np.inf))

    def refine(self, meter: _Meter, lag_s: float, step_s: float) -> _Fit:
        """The best place near this one: the middle of those that fit equally well."""
        near_s = lag_s + np.linspace(-2 * step_s, 2 * step_s, 2 * _FINE + 1)
        found = np.array([self._fit(meter, lag).correlation for lag in near_s])
        return self._fit(meter, float(near_s[found >= found.max() - 1e-9].mean()))

    def _fit(self, meter: _Meter, lag_s: float) -> _Fit:
        first = np.searchsorted(meter.begin_s, self.begin_s - lag_s)
        last = np.searchsorted(meter.end_s, self.end_s - lag_s, "right")
        begin_s, end_s, power = (v[first:last] for v in (meter.begin_s, meter.end_s, meter.power))
        load = (self._busy_until(end_s + lag_s) - self._busy_until(begin_s + lag_s)) / (end_s - begin_s)
        n = len(load)
        if n < _MIN_SAMPLES or load.std() == 0 or power.std() == 0:
            return _Fit(lag_s, -1.0, 0)
        return _Fit(lag_s, float(np.corrcoef(load, power)[0, 1]), n)

    def _busy_until(self, t_s: F64) -> F64:
        return np.asarray(np.interp(t_s, self._edges, self._busy_s))


class _Places(NamedTuple):
    """Where both groups fit best together, to a step, out of so many places."""

    lags_s: tuple[float, float]
    n_tried: int


def _coarse(patterns: Sequence[_Pattern], meter: _Meter, step_s: float, reach: int) -> _Places | None:
    """Search the whole recording; the distance of the groups may differ by ``reach`` steps from what it was.

    None where the recording is shorter than what it should contain.
    """
    t_s = np.arange(meter.begin_s[0] - meter.period_s, meter.end_s[-1] + meter.period_s, step_s)
    power = np.interp(t_s, (meter.begin_s + meter.end_s) / 2, meter.power - meter.power.mean())
    window_s = float(np.median(meter.end_s - meter.begin_s))
    apart = round((patterns[1].begin_s - patterns[0].begin_s) / step_s)
    first, second = (p.sliding(power, window_s, step_s) for p in patterns)
    second = second[apart:]
    n = min(len(first), len(second))
    if n == 0:
        return None
    windows = sliding_window_view(np.pad(second[:n], reach, constant_values=-1.0), 2 * reach + 1)
    i = int(np.argmax(first[:n] + windows.max(axis=1)))
    j = i - reach + int(np.argmax(windows[i]))
    begins = (t_s[i], t_s[j + apart])
    lags_s = [p.begin_s - (float(t) - step_s / 2) for p, t in zip(patterns, begins, strict=True)]
    return _Places((lags_s[0], lags_s[1]), n)


def _line(
    fits: Sequence[_Fit], patterns: Sequence[_Pattern], meter: _Meter, zero_ns: int, correlation: float
) -> Alignment:
    middles = [(p.begin_s + p.end_s) / 2 - f.lag_s for p, f in zip(patterns, fits, strict=True)]
    apart_s, change_s = middles[1] - middles[0], fits[1].lag_s - fits[0].lag_s
    drift = float(np.clip(change_s / apart_s, -_DRIFT, _DRIFT))
    missed_s = abs(change_s - drift * apart_s) / 2
    if missed_s > meter.period_s / 2:
        return _refused(f"its clock and this one disagree by {missed_s:.2g} s at both ends", correlation)
    center_s = (fits[0].lag_s + fits[1].lag_s) / 2
    offset_s = center_s - drift * (middles[0] + middles[1]) / 2
    return Alignment(zero_ns - meter.origin_ns + round(offset_s * 1e9), drift, meter.origin_ns, correlation, ok=True)


def _largest_gap(bursts: Sequence[tuple[int, int]]) -> int:
    gaps = [after[0] - before[1] for before, after in pairwise(bursts)]
    return gaps.index(max(gaps)) + 1 if gaps else 0


def _refused(text: str, correlation: float = float("nan")) -> Alignment:
    return Alignment(0, 0.0, 0, correlation, ok=False, text=f"The meter's clock can't be aligned: {text}.")
