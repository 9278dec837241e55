"""Energy from samples of power: values at one moment (gauge) and means over the time before an update (average)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from edgeq.records import Channel
from edgeq.stats.estimates import F64
from edgeq.stats.traces import VOID, Curve, Flaw, Polls, Window, gaps, independent_s, update_s

# A change of power at an edge that a mean over W smears out moves W/8 of the jump across it: W/4 at two edges.
_SMEARED = 0.25


@dataclass(frozen=True)
class Sampled(Curve):
    """From samples of power ``seen_w`` at ``seen_s``, each of which was observed for ``window_s``."""

    seen_s: F64
    seen_w: F64
    window_s: float

    def noise_j(self, windows_s: F64) -> float:
        """Of resolution, of the times of updates, and of what happened while nothing was observed."""
        _, inside = self.coverage(windows_s)
        jump_w = self.left_w[1:] - self.right_w[:-1]
        late_j2 = float(np.sum((inside[1:-1] * self.slack_s[1:-1] * jump_w) ** 2)) / 3
        return math.sqrt(
            self._lsb_j2(windows_s) + late_j2 + sum(self._unobserved_j2(*w) for w in self.stretches(windows_s).tolist())
        )

    def _lsb_j2(self, windows_s: F64) -> float:
        """Each code has one error, uniform in ±lsb/2, which lasts for as long as the code was shown in all."""
        seen = self.seen_w[np.searchsorted(windows_s.ravel(), self.seen_s, "right") % 2 == 1]
        if not self.channel.lsb or not len(seen):
            return 0.0
        _, shown = np.unique(seen, return_counts=True)
        length_s = float(np.sum(np.diff(windows_s)))
        return self.channel.lsb**2 / 12 * length_s**2 * float(np.sum((shown / len(seen)) ** 2))

    def _unobserved_j2(self, t0_s: float, t1_s: float) -> float:
        """As if what lies between independent samples scattered like their second differences (variance 6 σ²)."""
        step_s = self.resolution_s
        n = int((t1_s - t0_s) / step_s)
        if n < 3:
            return 0.0
        at_s = t0_s + step_s * (np.arange(n) + 0.5)
        seen = self.seen_w[np.clip(np.searchsorted(self.seen_s, at_s), 0, len(self.seen_w) - 1)]
        unobserved = max(0.0, 1 - self.window_s / step_s)
        return n * step_s**2 * unobserved * float(np.mean(np.diff(seen, 2) ** 2)) / 6


def sampled(channel: Channel, p: Polls) -> Sampled:
    """What a poll finds was updated half a period ago, and is the mean over the window before that: (T + W)/2 old.

    A gauge is linear between its samples. A mean stands for the time it averaged, or as much of it as lies nearest:
    between the middles of the times at which it and its neighbors were found, which for W = T is (t - T, t] of an
    update at t, however often that was polled. Where W < T the device looks only part of the time, and a load that
    keeps step with its updates is seen wrongly without a trace of it in the samples.
    """
    period_s, window_s = update_s(channel, p), 0.0
    if channel.kind == "average":
        window_s = period_s if channel.window_s is None else channel.window_s
    age_s = (period_s + window_s) / 2
    reach_s = max(period_s, window_s, p.usual_s)
    begin_s, end_s = p.t_s[:1] - reach_s, p.t_s[-1:] + reach_s
    if channel.kind == "gauge":
        inner_s, slack_s = p.t_s - age_s, np.zeros(len(p.t_s))
        left_w, right_w = np.concatenate((p.value[:1], p.value)), np.concatenate((p.value, p.value[-1:]))
    else:
        inner_s, slack_s = (p.t_s[:-1] + p.t_s[1:]) / 2 - age_s, np.minimum(np.diff(p.t_s), period_s) / 2
        left_w = right_w = p.value
    node_s = np.concatenate((begin_s, inner_s, end_s))
    resolution_s = independent_s(p, period_s)
    return Sampled(
        channel=channel,
        origin_ns=p.origin_ns,
        node_s=node_s,
        left_w=left_w,
        right_w=right_w,
        used_j=np.concatenate(([0.0], np.cumsum((left_w + right_w) / 2 * np.diff(node_s)))),
        slack_s=np.concatenate(([0.0], slack_s, [0.0])),
        resolution_s=resolution_s,
        edge_s=max(resolution_s, _SMEARED * window_s),
        smear_s=age_s,
        flaws=tuple(_flaws(p, age_s)),
        gaps=gaps(p, period_s, age_s),
        seen_s=p.t_s - age_s,
        seen_w=p.value,
        window_s=window_s,
    )


def highest_w(curves: Sequence[Curve], windows: Sequence[Window]) -> float | None:
    """The highest sum of channels at the times of the first one's samples in the windows; None for counters."""
    first = curves[0]
    if not isinstance(first, Sampled):
        return None
    at_s = first.seen_s[np.searchsorted(first.seconds(windows).ravel(), first.seen_s, "right") % 2 == 1]
    total_w = np.zeros(len(at_s))
    for c in curves:
        if not isinstance(c, Sampled):
            return None
        total_w += np.interp(at_s + (first.origin_ns - c.origin_ns) / 1e9, c.seen_s, c.seen_w)
    return float(total_w.max()) if len(total_w) else None


def _flaws(p: Polls, age_s: float) -> Iterator[Flaw]:
    """Between two valid samples with an invalid one between them nothing is known."""
    about_s = np.concatenate(([-math.inf], p.t_s - age_s, [math.inf]))
    for i in np.nonzero(~np.isnan(p.void_s))[0].tolist():
        yield Flaw(float(about_s[i]), float(about_s[i + 1]), float(p.void_s[i]), VOID)
