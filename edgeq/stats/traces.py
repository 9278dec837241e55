"""What a trace says between its samples: power as a function of time, the energy under it, and where it is silent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edgeq.records import Channel, Trace
from edgeq.stats.estimates import F64
from edgeq.stats.samples import samples

# The recorder varies its polls by ±30 %: polls that are this much slower than the updates count as just as often.
_POLL_JITTER = 1.3
# Longer than one period by more than what its own irregularity and that of the polls explain.
STANDS_STILL = 1.5
# So many changes tell how far apart they usually are.
_MANY = 10
# A gap is longer than so many periods, and than this share of the window.
_LONG_GAP = 3
LONG_GAP_SHARE = 0.02

VOID = "the sensor gave no valid value"


class Window(NamedTuple):
    """A stretch of time on CLOCK_MONOTONIC."""

    t0_ns: int
    t1_ns: int


class Flaw(NamedTuple):
    """An open interval that no measured window may touch, the moment it is about, and what happened then."""

    begin_s: float
    end_s: float
    at_s: float
    text: str


class Polls(NamedTuple):
    """The valid samples of a trace, in seconds after ``origin_ns``.

    ``void_s[i]``: a moment without truth between samples ``i - 1`` and ``i`` (first and last: outside), else NaN.
    ``usual_s``: the median time between samples.
    """

    origin_ns: int
    t_s: F64
    value: F64
    void_s: F64
    usual_s: float


@dataclass(frozen=True)
class Curve:
    """Power in W, linear in each of the n segments between n + 1 nodes; it may jump at a node.

    ``used_j``: energy from the first node to each. ``slack_s``: a node's time is known to ± this. ``resolution_s``:
    windows that lie closer together are one stretch. ``edge_s``: worst error at the two edges of a stretch, in seconds
    of its power. ``smear_s``: how far from an edge the channel still sees what is beyond. ``gaps``: (begin, end) of
    unusually long times without a sample.
    """

    channel: Channel
    origin_ns: int
    node_s: F64
    left_w: F64
    right_w: F64
    used_j: F64
    slack_s: F64
    resolution_s: float
    edge_s: float
    smear_s: float
    flaws: tuple[Flaw, ...]
    gaps: F64

    def seconds(self, windows: Sequence[Window]) -> F64:
        """The windows in order, a row each, in seconds after this curve's origin."""
        rows = np.array(sorted(windows), dtype=np.int64).reshape(-1, 2) - self.origin_ns
        return rows.astype(np.float64) / 1e9

    def stretches(self, windows_s: F64) -> F64:
        """Windows that follow each other, each run of them as one."""
        apart = windows_s[1:, 0] - windows_s[:-1, 1] >= self.resolution_s
        begins = windows_s[np.concatenate(([True], apart)), 0]
        ends = windows_s[np.concatenate((apart, [True])), 1]
        return np.stack((begins, ends), axis=1)

    def segment(self, t_s: F64) -> npt.NDArray[np.intp]:
        """Index of the segment that each time lies in."""
        return np.clip(np.searchsorted(self.node_s, t_s, "right") - 1, 0, len(self.left_w) - 1)

    def joules(self, t_s: F64) -> F64:
        """Energy from the first node to each time."""
        k = self.segment(t_s)
        passed_s = t_s - self.node_s[k]
        slope = (self.right_w[k] - self.left_w[k]) / (self.node_s[k + 1] - self.node_s[k])
        used: F64 = self.used_j[k] + passed_s * (self.left_w[k] + slope * passed_s / 2)
        return used

    def coverage(self, windows_s: F64) -> tuple[F64, F64]:
        """(share of each segment that the windows cover, 1 for each node in a window and 0 for the others)."""
        edges = windows_s.ravel()
        lengths = np.diff(windows_s, axis=1).ravel()
        covered_s = np.concatenate(([0.0], np.repeat(np.cumsum(lengths), 2)))[:-1]
        share = np.diff(np.interp(self.node_s, edges, covered_s)) / np.diff(self.node_s)
        inside = (np.searchsorted(edges, self.node_s, "right") % 2).astype(np.float64)
        return share, inside

    def unread_s(self, t0_s: float, t1_s: float, limit_s: float) -> float:
        """Length of the longest gap in this stretch that is longer than the limit, 0 where none is."""
        begin, end = np.maximum(self.gaps[:, 0], t0_s), np.minimum(self.gaps[:, 1], t1_s)
        gap_s = (self.gaps[:, 1] - self.gaps[:, 0])[begin < end]
        return float(max(gap_s[gap_s > limit_s], default=0.0))

    def noise_j(self, windows_s: F64) -> float:
        """Standard uncertainty of the windows' energy from resolution and timing, their edges left aside."""
        raise NotImplementedError


def polls(trace: Trace) -> Polls | None:
    """Decode a trace; None where it has fewer than two valid samples."""
    t_ns, value = samples(trace)
    (valid,) = np.nonzero(~np.isnan(value))
    if len(valid) < 2:
        return None
    t_s = (t_ns - t_ns[0]).astype(np.float64) / 1e9
    before = np.concatenate(([-1], valid))
    broken = np.diff(np.concatenate((before, [len(value)]))) > 1
    void_s = np.full(len(valid) + 1, np.nan)
    void_s[broken] = t_s[before[broken] + 1]
    return Polls(int(t_ns[0]), t_s[valid], value[valid], void_s, float(np.median(np.diff(t_s[valid]))))


def update_s(channel: Channel, p: Polls) -> float:
    """How long a device shows the same value: as declared, else 0 or, where many values stood for longer, as seen.

    A counter that moves more slowly than was declared is believed; power may be steady, on one code at least, and so
    may a counter's last digit. Samples that a device stamped itself are never old.
    """
    if channel.clock == "device":
        return 0.0
    declared_s = channel.update_period_s or 0.0
    step = np.diff(p.value)
    changes = np.nonzero(step)[0]
    if (
        (declared_s and channel.kind != "counter")
        or len(changes) < _MANY
        or np.median(np.abs(step[changes])) < STANDS_STILL * (channel.lsb or 0.0)
    ):
        return declared_s
    seen_s = float(np.median(np.diff(p.t_s[changes + 1])))
    return seen_s if seen_s > STANDS_STILL * max(p.usual_s, declared_s) else declared_s


def independent_s(p: Polls, period_s: float) -> float:
    """Time from one independent value to the next: that of updates, or of polls where these are markedly slower."""
    return p.usual_s if p.usual_s > _POLL_JITTER * period_s else period_s


def gaps(p: Polls, period_s: float, age_s: float) -> F64:
    """(begin, end) of long times between samples, in the time that the samples are about."""
    (i,) = np.nonzero(np.diff(p.t_s) > _LONG_GAP * max(p.usual_s, period_s))
    return np.stack((p.t_s[i], p.t_s[i + 1]), axis=1) - age_s
