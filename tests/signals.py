"""Power whose integral is known, and the traces that sensors with known faults would make of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from edgeq.records import Channel, Trace
from edgeq.stats.energy import Reading
from edgeq.stats.traces import Window

F64 = npt.NDArray[np.float64]
Kind = Literal["counter", "gauge", "average"]
# How much the recorder varies its polls.
JITTER = 0.3
# The kernel's monotonic clock does not begin at 0.
START_NS = 1_000_000_000_000


@dataclass(frozen=True)
class Signal:
    """Power in W at a time in s, and the energy in J used since some moment before all others.

    For bounds that are computed beforehand: ``high_w``, which is never exceeded, the jumps (time, watts) and the total
    variation in W/s that comes on top of them.
    """

    power: Callable[[F64], F64]
    energy: Callable[[F64], F64]
    high_w: float
    jumps: tuple[tuple[float, float], ...] = ()
    variation_w_per_s: float = 0.0

    def __add__(self, other: Signal) -> Signal:
        return Signal(
            lambda t: self.power(t) + other.power(t),
            lambda t: self.energy(t) + other.energy(t),
            self.high_w + other.high_w,
            self.jumps + other.jumps,
            self.variation_w_per_s + other.variation_w_per_s,
        )

    def __mul__(self, scale: float) -> Signal:
        return Signal(
            lambda t: self.power(t) * scale,
            lambda t: self.energy(t) * scale,
            self.high_w * scale,
            tuple((t, w * scale) for t, w in self.jumps),
            self.variation_w_per_s * scale,
        )

    def joules(self, *windows: tuple[float, float]) -> float:
        """The truth."""
        return sum(float(np.diff(self.energy(np.array(w)))[0]) for w in windows)

    def variation_w(self, t0: float, t1: float) -> float:
        """At most this much does the power go up and down between two times."""
        return sum(abs(w) for t, w in self.jumps if t0 <= t <= t1) + self.variation_w_per_s * (t1 - t0)


def steps(cuts: Sequence[float], watts: Sequence[float]) -> Signal:
    """Constant between the cuts, of which there is one less than powers."""
    at = np.array([min([0.0, *cuts]) - 1e4, *cuts])
    levels = np.array(watts, dtype=np.float64)
    used = np.concatenate(([0.0], np.cumsum(levels[:-1] * np.diff(at))))

    def index(t: F64) -> npt.NDArray[np.intp]:
        return np.searchsorted(at, t, "right") - 1

    return Signal(
        lambda t: levels[index(t)],
        lambda t: used[index(t)] + levels[index(t)] * (t - at[index(t)]),
        float(levels.max()),
        tuple(zip(cuts, np.diff(levels).tolist(), strict=True)),
    )


def constant(watts: float) -> Signal:
    """Always the same."""
    return steps((), (watts,))


def ramp(t0: float, t1: float, low_w: float, high_w: float) -> Signal:
    """One power before ``t0``, another one after ``t1``, even growth between them."""

    def energy(t: F64) -> F64:
        rise = np.clip(t - t0, 0, t1 - t0)
        slope = (high_w - low_w) / (t1 - t0)
        return low_w * (t + 1e4) + slope * rise**2 / 2 + (high_w - low_w) * np.maximum(t - t1, 0)

    return Signal(
        lambda t: np.interp(t, (t0, t1), (low_w, high_w)),
        energy,
        max(low_w, high_w),
        variation_w_per_s=abs(high_w - low_w) / (t1 - t0),
    )


def sine(hz: float, amplitude_w: float, phase: float = 0.0) -> Signal:
    """Around 0, to be added to something."""
    w = 2 * np.pi * hz
    return Signal(
        lambda t: amplitude_w * np.sin(w * t + phase),
        lambda t: -amplitude_w / w * np.cos(w * t + phase),
        amplitude_w,
        variation_w_per_s=4 * amplitude_w * hz,
    )


def square(hz: float, amplitude_w: float, duty: float = 0.5, phase: float = 0.0) -> Signal:
    """``amplitude_w`` for a share of each period, 0 for the rest, to be added to something: the beat of tokens."""

    def energy(t: F64) -> F64:
        turns = t * hz + phase
        return amplitude_w / hz * (np.floor(turns) * duty + np.minimum(turns % 1, duty))

    return Signal(
        lambda t: np.where((t * hz + phase) % 1 < duty, amplitude_w, 0.0),
        energy,
        amplitude_w,
        variation_w_per_s=2 * amplitude_w * hz,
    )


@dataclass(frozen=True)
class Instrument:
    """A channel with its faults: what it shows of a signal at each time, and when it is asked.

    ``update_s`` 0: true at every moment; ``turn``: the moment of its updates as a share of the period. ``jitter``: how
    much the polls vary, as a share of ``poll_s``. ``gain`` and ``offset_w`` are the true errors.
    """

    kind: Kind
    poll_s: float
    update_s: float = 0.0
    window_s: float = 0.0
    turn: float = 0.0
    jitter: float = 0.0
    lsb: float = 0.0
    gain: float = 1.0
    offset_w: float = 0.0
    start_j: float = 0.0
    wraps_at: float | None = None
    max_w: float | None = None
    gain_error: float = 0.0
    offset_error: float = 0.0

    def channel(self) -> Channel:
        """As a sensor would declare it."""
        counter = self.kind == "counter"
        return Channel(
            name="emulated",
            quantity="energy" if counter else "power",
            kind=self.kind,
            unit="J" if counter else "W",
            scope="board",
            update_period_s=self.update_s,
            window_s=self.window_s if self.kind == "average" else None,
            lsb=self.lsb or None,
            wraps_at=self.wraps_at,
            max_w=self.max_w,
            gain_error=self.gain_error,
            offset_error=self.offset_error,
        )

    def shown(self, signal: Signal, t: F64) -> F64:
        """What is read at each time."""
        if self.update_s:
            t = (np.floor(t / self.update_s - self.turn) + self.turn) * self.update_s
        if self.kind == "counter":
            used = self.start_j + self.gain * (signal.energy(t) - signal.energy(np.zeros(1))) + self.offset_w * t
            used = np.floor(used / self.lsb) * self.lsb if self.lsb else used
            return used % self.wraps_at if self.wraps_at else used
        watts = signal.power(t)
        if self.kind == "average":
            watts = (signal.energy(t) - signal.energy(t - self.window_s)) / self.window_s
        watts = self.gain * watts + self.offset_w
        return np.round(watts / self.lsb) * self.lsb if self.lsb else watts

    def polled(self, t0: float, t1: float, rng: np.random.Generator | None = None) -> F64:
        """When it is read."""
        if not self.jitter:
            return np.arange(t0, t1 + self.poll_s / 2, self.poll_s)
        n = int((t1 - t0) / self.poll_s / (1 - self.jitter)) + 2
        assert rng is not None
        t = t0 + np.cumsum(self.poll_s * rng.uniform(1 - self.jitter, 1 + self.jitter, n))
        return t[t <= t1]

    def trace(self, signal: Signal, t: F64) -> Trace:
        """A recording of the signal by polls at these times."""
        return record(self.channel(), t, self.shown(signal, t))

    def scaled(self, scale: float) -> Instrument:
        """The same in another unit."""
        return replace(
            self,
            lsb=self.lsb * scale,
            offset_w=self.offset_w * scale,
            start_j=self.start_j * scale,
            wraps_at=self.wraps_at and self.wraps_at * scale,
            max_w=self.max_w and self.max_w * scale,
        )


def record(channel: Channel, t_s: Sequence[float] | F64, values: Sequence[float] | F64) -> Trace:
    """A trace of these samples."""
    t_ns = START_NS + np.round(np.asarray(t_s, dtype=np.float64) * 1e9).astype(np.int64)
    return Trace(channel, t_ns.astype("<i8").tobytes(), np.asarray(values, dtype="<f8").tobytes())


def window(t0: float, t1: float) -> Window:
    """A window of these seconds."""
    return Window(START_NS + round(t0 * 1e9), START_NS + round(t1 * 1e9))


def needs_s(i: Instrument) -> float:
    """A window that is long enough for this instrument, whatever it shows."""
    return 100 * max(i.update_s, (1 + JITTER) * i.poll_s, i.window_s / 4)


def tells(reading: Reading, after_s: float, what: str) -> bool:
    """Whether the reason why there is no reading names this event and, to a digit, its time."""
    when, _, text = reading.missing.partition(" ")
    return abs(float(when) - after_s) < 0.0501 and text == f"s after the start {what}."
