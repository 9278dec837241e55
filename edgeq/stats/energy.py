"""Energy of windows of time from one channel's trace, with its uncertainty or the reason why there is none."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from edgeq.records import Trace
from edgeq.stats.counters import counted
from edgeq.stats.estimates import F64
from edgeq.stats.power import highest_w, sampled
from edgeq.stats.traces import LONG_GAP_SHARE, Curve, Window, polls

# With what is wrong at its edges at most 1 % of a window.
_EDGES = 100
LONGER = ": use more repetitions or --min-window {}"
# Power inside an edge is the mean over so many independent values.
_INSIDE = 5
# A limit of error is that of a uniform distribution (GUM 4.3.7).
_LIMIT = math.sqrt(3)


class Reading(NamedTuple):
    """Energy of one channel, or of several that add up, over windows of ``window_s`` in all.

    ``noise_j``: standard uncertainty that is independent between windows (resolution, times of updates, edges).
    ``gain``: relative standard uncertainty, and ``offset_w``: standard uncertainty of a constant offset, both common to
    all readings of the channel: its maker's limits over √3, 0 where the maker gives none. ``max_w``: the highest
    sample, None for counters. ``missing`` says in one sentence why ``joules`` is None.
    """

    window_s: float
    joules: float | None
    noise_j: float = 0.0
    gain: float = 0.0
    offset_w: float = 0.0
    max_w: float | None = None
    missing: str = ""


def curve(trace: Trace) -> Curve | None:
    """Power over time as a channel of energy or power tells it; None where it has fewer than two valid samples."""
    p = polls(trace)
    if p is None:
        return None
    return counted(trace.channel, p) if trace.channel.kind == "counter" else sampled(trace.channel, p)


def integrate(trace: Trace, windows: Sequence[Window]) -> Reading:
    """Energy in J that a channel of energy or power saw in the windows, which must not overlap.

    A window is refused where it reaches beyond the trace, where the sensor was silent for more than three periods (or
    2 % of the window), where its value was not valid and where a counter was reset. Windows that follow each other
    count as one stretch. D seconds in n stretches are refused for being short where D < 100 e √n, with e the worst
    error at the edges of one stretch in seconds: one period for channels that are read as often as they are updated.
    """
    return read(curve(trace), windows)


def read(c: Curve | None, windows: Sequence[Window], cure: str = LONGER) -> Reading:
    """As `integrate`, of a curve that serves for many windows; ``cure`` is the advice where these are too short."""
    length_s = sum(w.t1_ns - w.t0_ns for w in windows) / 1e9
    if length_s <= 0:
        return Reading(length_s, None, missing="There was nothing to measure.")
    if c is None:
        return Reading(length_s, None, missing="The sensor gave fewer than two valid values.")
    windows_s = c.seconds(windows)
    if missing := _spoiled(c, windows_s) or _short(c, windows_s, cure):
        return Reading(length_s, None, missing=missing)
    power = c.channel.quantity == "power"
    return Reading(
        length_s,
        joules=float(energies(c, windows_s).sum()),
        noise_j=math.hypot(c.noise_j(windows_s), _edges_j(c, windows_s)),
        gain=(c.channel.gain_error or 0.0) / _LIMIT,
        offset_w=(c.channel.offset_error or 0.0) / _LIMIT if power else 0.0,
        max_w=highest_w([c], windows),
    )


def energies(c: Curve, windows_s: F64) -> F64:
    """Energy in J of each window."""
    ends: F64 = c.joules(windows_s)
    return np.diff(ends).ravel()


def total(readings: Sequence[Reading]) -> Reading:
    """Sum over the channels of one instrument: their gains and offsets err together, their noise does not.

    The sum of several peaks is no peak: ``max_w`` is None where there is more than one channel.
    """
    first = readings[0]
    if lost := next((r for r in readings if r.joules is None), None):
        return lost
    joules = [r.joules or 0.0 for r in readings]
    used_j = sum(joules)
    erring_j = sum(r.gain * abs(j) for r, j in zip(readings, joules, strict=True))
    return Reading(
        first.window_s,
        used_j,
        noise_j=math.hypot(*(r.noise_j for r in readings)),
        gain=erring_j / abs(used_j) if used_j else max(r.gain for r in readings),
        offset_w=sum(r.offset_w for r in readings),
        max_w=first.max_w if len(readings) == 1 else None,
    )


def needed_s(c: Curve, windows_s: F64) -> float:
    """Length in all that windows like these must have for this channel, in s: 100 e √n, where n grows with them."""
    n = len(c.stretches(windows_s))
    needed = _EDGES * c.edge_s
    return needed if n == 1 else needed * needed * n / float(np.diff(windows_s).sum())


def _short(c: Curve, windows_s: F64, cure: str) -> str:
    length_s, needed = float(np.diff(windows_s).sum()), needed_s(c, windows_s)
    # A nanosecond more or less is no reason.
    if length_s >= needed - 1e-9:
        return ""
    least = _two_digits(needed, math.ceil)
    return f"It lasted {_two_digits(length_s, math.floor)} s and this channel needs {least} s{cure.format(least)}."


def _spoiled(c: Curve, windows_s: F64) -> str:
    begin_s, end_s = float(windows_s[0, 0]), float(windows_s[-1, 1])
    if begin_s < c.node_s[0]:
        return f"The readings begin {c.node_s[0] - begin_s:.1f} s too late."
    if end_s > c.node_s[-1]:
        return f"The readings end {end_s - c.node_s[-1]:.1f} s too early."
    for flaw in c.flaws:
        if ((windows_s[:, 0] < flaw.end_s) & (windows_s[:, 1] > flaw.begin_s)).any():
            return f"{max(0.0, flaw.at_s - begin_s):.1f} s after the start {flaw.text}."
    limit_s = LONG_GAP_SHARE * float(np.diff(windows_s).sum())
    if unread_s := max(c.unread_s(begin, end, limit_s) for begin, end in c.stretches(windows_s).tolist()):
        return f"There was no reading for {unread_s:.1f} s."
    return ""


def _edges_j(c: Curve, windows_s: F64) -> float:
    """Standard uncertainty from power that changes at the edges themselves, as it does where a phase begins or ends.

    The error is then what a window would have used at the power inside its edge, less what was found there. All edges
    of a load err in the same direction, therefore the sum; a pause hides no more than what the load would have used.
    """
    begin_j, begin_w, end_j, end_w = _missing_j(c, *windows_s.T)
    pause_s = windows_s[1:, 0] - windows_s[:-1, 1]
    most_j = pause_s * np.maximum(np.abs(end_w[:-1]), np.abs(begin_w[1:]))
    hidden_j = np.clip(end_j[:-1] + begin_j[1:], -most_j, most_j)
    return abs(float(begin_j[0] + hidden_j.sum() + end_j[-1]))


def _missing_j(c: Curve, t0_s: F64, t1_s: F64) -> tuple[F64, F64, F64, F64]:
    """(energy missing where each window begins, power inside, energy missing where it ends, power inside)."""
    last = len(c.left_w) - 1
    clean0 = np.minimum(np.searchsorted(c.node_s, t0_s + c.smear_s, "left"), last)
    clean1 = np.searchsorted(c.node_s, t1_s - c.smear_s, "right") - 1
    has_inside = clean0 < clean1
    clean0_s, clean1_s = c.node_s[clean0], c.node_s[clean1]
    inside_s = np.where(has_inside, np.minimum(_INSIDE * c.resolution_s, clean1_s - clean0_s), 1.0)
    times = np.stack((t0_s, clean0_s, clean0_s + inside_s, clean1_s - inside_s, clean1_s, t1_s))
    edge0_j, inside0_j, _, inside1_j, edge1_j = np.diff(c.joules(times), axis=0)
    # A window within a segment or two has no inside: what these used at the power beyond its edges is missing.
    k0, k1 = c.segment(t0_s), c.segment(t1_s)
    w0 = np.where(has_inside, inside0_j / inside_s, c.left_w[k0])
    w1 = np.where(has_inside, inside1_j / inside_s, c.right_w[k1])
    beyond0_j = (w0 - c.right_w[np.maximum(k0 - 1, 0)]) * (t0_s - c.node_s[k0])
    beyond1_j = (w1 - c.left_w[np.minimum(k1 + 1, last)]) * (c.node_s[k1 + 1] - t1_s)
    begin_j = np.where(has_inside, w0 * (clean0_s - t0_s) - edge0_j, beyond0_j)
    end_j = np.where(has_inside, w1 * (t1_s - clean1_s) - edge1_j, beyond1_j)
    return begin_j, w0, end_j, w1


def _two_digits(seconds: float, rounded: Callable[[float], int]) -> str:
    """Rounded up or down, and to the nearest where that was only a rounding error away."""
    step = 10.0 ** (math.floor(math.log10(seconds)) - 1) if seconds > 0 else 1.0
    return f"{rounded(round(seconds / step, 6)) * step:.10g}"
