"""Energy from counters: when they were updated, and whether a decrease is a wrap or a reset."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from edgeq.records import Channel
from edgeq.stats.estimates import F64
from edgeq.stats.traces import STANDS_STILL, VOID, Curve, Flaw, Polls, gaps, independent_s, update_s

# Without a limit from the channel, a wrap may take this many times the highest power between any two other samples. A
# reset falls within that only by chance: for 262 kJ, 50 W and 20 readings per second once in ten thousand times.
_LIKELY = 10.0
_POLLS_PER_WRAP = 3

RESET = "the counter was reset"
WRAPPED = "the counter may have wrapped unseen"


@dataclass(frozen=True)
class Counted(Curve):
    """From a counter: the energy of a segment is what was read, and its power follows from its length."""

    def noise_j(self, windows_s: F64) -> float:
        """Of the last digit and of the times of updates, at the nodes around the edges of the windows.

        A node that is late by d changes the energy by d (P_left (i - w_left) - P_right (i - w_right)), where w are the
        shares of the segments beside it that the windows cover and i is 1 for a node within.
        """
        share, inside = self.coverage(windows_s)
        # Beyond the first and the last node power is extrapolated, so that nothing there makes up for a shift.
        share[0] = share[-1] = 0.0
        i, left, right = inside[1:-1], share[:-1], share[1:]
        shift_j = self.slack_s[1:-1] * (self.right_w[:-1] * (i - left) - self.left_w[1:] * (i - right))
        lsb_j = self.channel.lsb or 0.0
        return math.sqrt(
            float(np.sum(shift_j**2)) / 3
            + lsb_j**2 / 12 * float(np.sum((left - right) ** 2))
            + float(np.sum((share * (1 - share) * np.diff(self.node_s)) ** 2)) * self._change_w2(share)
        )

    def _change_w2(self, share: F64) -> float:
        """Mean square of how power changes from one update to the next, within the windows."""
        change_w = np.diff(self.left_w)[(share[:-1] == 1) & (share[1:] == 1)]
        return float(np.mean(change_w**2)) if len(change_w) else 0.0

    def unread_s(self, t0_s: float, t1_s: float, limit_s: float) -> float:
        """Only the edges of a stretch need a sample nearby: what lies between was counted."""
        edges = np.array([[t0_s], [t1_s]])
        nearest_s = np.minimum(edges - self.gaps[:, 0], self.gaps[:, 1] - edges)
        spoils = (nearest_s > max(self.resolution_s, limit_s)).any(axis=0)
        return float(max((self.gaps[:, 1] - self.gaps[:, 0])[spoils], default=0.0))


def counted(channel: Channel, p: Polls) -> Counted:
    """Nodes are the updates: a new value was written since the poll before it, and at most one period ago.

    Between two updates power is taken as constant, so that further polls of the same value change nothing. An edge
    between two updates is then wrong by at most a quarter of their distance times the jump of power there, and by the
    uncertainty of their times, which is the smaller of period and poll interval.
    """
    period_s = update_s(channel, p)
    if channel.update_period_s is None and channel.clock == "host":
        period_s = max(period_s, p.usual_s)
    total_j, lost = _unwrapped(channel, p, period_s)
    used_j, node_s, slack_s = _updates(channel, p, total_j, lost, period_s)
    power = np.diff(used_j) / np.diff(node_s)
    flaws = tuple(_flaws(p, lost, node_s))
    reach_s = max(period_s, p.usual_s)
    node_s = np.concatenate(([p.t_s[0] - reach_s], node_s, [p.t_s[-1] + reach_s]))
    power = np.concatenate((power[:1], power, power[-1:]))
    return Counted(
        channel=channel,
        origin_ns=p.origin_ns,
        node_s=node_s,
        left_w=power,
        right_w=power,
        used_j=np.concatenate(([0.0], np.cumsum(power * np.diff(node_s)))),
        slack_s=np.concatenate(([0.0], slack_s, [0.0])),
        resolution_s=reach_s,
        edge_s=max(min(period_s, p.usual_s), independent_s(p, period_s) / 2),
        smear_s=0.0,
        flaws=flaws,
        gaps=gaps(p, period_s, 0.0),
    )


def _unwrapped(channel: Channel, p: Polls, period_s: float) -> tuple[F64, dict[int, str]]:
    """(energy since the first sample, what happened before each sample from which on it is counted anew)."""
    step = np.diff(p.value)
    step[~np.isnan(p.void_s[1:-1])] = 0.0
    # What a poll finds can have been used since the update before the last poll.
    elapsed_s = np.diff(p.t_s) + period_s
    highest_w = channel.max_w or float((step / elapsed_s).max())
    lost: dict[int, str] = {}
    if channel.wraps_at:
        unwrapped = step + channel.wraps_at
        limit_w = channel.max_w or _LIKELY * highest_w
        wrapped = (step < 0) & (unwrapped >= 0) & (unwrapped <= limit_w * elapsed_s)
        step = np.where(wrapped, unwrapped, step)
        (unseen,) = np.nonzero(highest_w * elapsed_s > channel.wraps_at / _POLLS_PER_WRAP)
        lost |= dict.fromkeys((unseen + 1).tolist(), WRAPPED)
    lost |= dict.fromkeys((np.nonzero(step < 0)[0] + 1).tolist(), RESET)
    lost |= dict.fromkeys(np.nonzero(~np.isnan(p.void_s[:-1]))[0].tolist(), VOID)
    return np.concatenate(([0.0], np.cumsum(np.maximum(step, 0.0)))), lost


def _updates(channel: Channel, p: Polls, total_j: F64, lost: dict[int, str], period_s: float) -> tuple[F64, F64, F64]:
    """(energy, time, half the range in which that time lies) of every update that can be told."""
    t_s = p.t_s
    anew = np.zeros(len(t_s), dtype=bool)
    anew[list(lost)] = True
    new = anew | (np.diff(p.value, prepend=np.nan) != 0) | (channel.clock == "device")
    (k,) = np.nonzero(new)
    since_s = np.maximum(t_s[k] - period_s, t_s[np.maximum(k - 1, 0)])
    since_s[0] = t_s[0] - period_s
    node_s, slack_s = (t_s[k] + since_s) / 2, (t_s[k] - since_s) / 2

    # The last sample before each update, and that of the trace.
    last = np.concatenate((k[1:] - 1, [len(t_s) - 1]))
    ends = np.concatenate((total_j[k[1:]] - total_j[last[:-1]] > STANDS_STILL * (channel.lsb or 0.0), [True]))
    ends[:-1] |= anew[k[1:]]
    (still,) = np.nonzero(ends & (t_s[last] - node_s > STANDS_STILL * period_s))
    if len(k) + len(still) < 2:
        still = np.array([len(k) - 1])
    node_s = np.concatenate((node_s, t_s[last[still]] - period_s / 2))
    slack_s = np.concatenate((slack_s, np.full(len(still), period_s / 2)))
    used_j = np.concatenate((total_j[k], total_j[last[still]]))
    order = np.argsort(node_s)
    return used_j[order], node_s[order], slack_s[order]


def _flaws(p: Polls, lost: dict[int, str], node_s: F64) -> Iterator[Flaw]:
    """Between the last update before a loss and the first after it nothing is known."""
    if not np.isnan(p.void_s[-1]):
        lost = {**lost, len(p.t_s): VOID}
    about_s = np.concatenate(([-math.inf], node_s, [math.inf]))
    for i, text in sorted(lost.items()):
        before = int(np.searchsorted(node_s, p.t_s[i - 1], "right")) if i else 0
        at_s = p.void_s[i] if text == VOID else p.t_s[i]
        yield Flaw(float(about_s[before]), float(about_s[before + 1]), float(at_s), text)
