"""Whether a device slowed itself down during the timed phases, and how sure that is."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edgeq.records import Channel, Phase, Throttling, Trace
from edgeq.stats.estimates import F64
from edgeq.stats.samples import known

# Less than 1 % of the time can't change a result by more than 1 %.
_SHARE = 0.01
# A clock counts as lowered below 95 % of what it was at the start, and that as noticeable above 10 % of the time.
_LOWERED = 0.95
_NOTICEABLE = 0.1
# As few samples can tell where a clock begins.
_FIRST = 5

I64 = npt.NDArray[np.int64]


class _Report(NamedTuple):
    """What the device says of itself; ``share`` of the timed phases, None where it counts events."""

    reason: str
    share: float | None


class _Dip(NamedTuple):
    """For which share of the timed phases a clock was below what it was at the start."""

    reason: str
    share: float


class _Known(NamedTuple):
    """The samples of a channel that hold a truth."""

    channel: Channel
    t_ns: I64
    values: F64


def verdict(traces: Iterable[Trace], timed: Sequence[Phase]) -> Throttling:
    """What the traces of a record say about its timed phases. What happens outside of them does not count.

    ``confirmed``: the device says so, by a counter of events that grew, or for more than 1 % of the time by a flag or
    a counter of seconds; ``share`` is that of the longest of the reasons. ``suspected``: a clock ran below 95 % of its
    value at the start of a test's timed phases for more than 10 % of them. ``none``: the device can tell and did not,
    or at least its clocks were steady; ``reason`` names who said so. ``unknown``: nothing here can tell.
    """
    if not timed:
        return Throttling("unknown", "nothing was timed")
    by_quantity: dict[str, list[_Known]] = defaultdict(list)
    for trace in traces:
        by_quantity[trace.channel.quantity].append(_known(trace))
    reports = [report for seen in by_quantity["throttle"] if (report := _reported(seen, timed))]
    if reports:
        shares = [r.share for r in reports if r.share is not None]
        return Throttling("confirmed", ", ".join(dict.fromkeys(r.reason for r in reports)), max(shares, default=None))
    clocks = [dip for name, alike in _alike(by_quantity["frequency"]) if (dip := _dip(name, alike, timed))]
    longest = max(clocks, key=lambda dip: dip.share, default=None)
    if longest and longest.share > _NOTICEABLE:
        return Throttling("suspected", longest.reason, longest.share)
    silent = {seen.channel.sensor for seen in by_quantity["throttle"] if _readable(seen, timed)}
    if silent:
        return Throttling("none", f"nothing reported by {', '.join(sorted(silent))}")
    if clocks:
        return Throttling("none", "clocks steady")
    return Throttling("unknown", "no sensor tells")


def _known(trace: Trace) -> _Known:
    return _Known(trace.channel, *known(trace))


def _reported(seen: _Known, timed: Sequence[Phase]) -> _Report | None:
    name, unit = seen.channel.name, seen.channel.unit
    if unit == "flag":
        during = seen.values[_within(seen.t_ns, timed)]
        share = float((during > 0).mean()) if len(during) else 0.0
    else:
        grown = _growth(seen, timed)
        if unit == "events":
            # Where a phase's edge lies between two samples, the event may lie on either side of it.
            return _Report(name, None) if grown >= 0.5 else None
        share = min(1.0, grown / sum((p.t1_ns - p.t0_ns) / 1e9 for p in timed))
    return _Report(name, share) if share > _SHARE else None


def _growth(seen: _Known, timed: Sequence[Phase]) -> float:
    """By how much a counter grew within the phases, evenly between samples. A step back is a reset and no growth."""
    if len(seen.t_ns) < 2:
        return 0.0
    total = np.concatenate(([0.0], np.cumsum(np.maximum(np.diff(seen.values), 0))))
    edges = np.array([(p.t0_ns, p.t1_ns) for p in timed])
    return float(np.diff(np.interp(edges, seen.t_ns, total), axis=1).sum())


def _readable(seen: _Known, timed: Sequence[Phase]) -> bool:
    """Whether a throttle channel was read from the first phase to the last: if it died on the way, it wasn't silent."""
    t_ns = seen.t_ns
    if not len(t_ns) or t_ns[0] > min(p.t1_ns for p in timed) or t_ns[-1] < max(p.t0_ns for p in timed):
        return False
    return bool(_within(t_ns, timed).any()) if seen.channel.unit == "flag" else len(t_ns) > 1


def _within(t_ns: I64, timed: Iterable[Phase]) -> npt.NDArray[np.bool_]:
    inside = np.zeros(len(t_ns), np.bool_)
    for phase in timed:
        inside |= (t_ns >= phase.t0_ns) & (t_ns <= phase.t1_ns)
    return inside


def _alike(clocks: Iterable[_Known]) -> Iterable[tuple[str, list[_Known]]]:
    """Clocks whose names differ only in a number stand for each other: threads move between the cores of a machine."""
    groups: dict[tuple[str, str], list[_Known]] = defaultdict(list)
    for seen in clocks:
        if len(seen.t_ns):
            groups[seen.channel.sensor, re.sub(r"\d+", "", seen.channel.name)].append(seen)
    return [(name, group) for (_, name), group in groups.items()]


def _dip(name: str, alike: Sequence[_Known], timed: Sequence[Phase]) -> _Dip | None:
    """How long the fastest of these clocks was lowered, test by test; None where they can't tell."""
    t_ns = np.unique(np.concatenate([k.t_ns for k in alike]))
    held = [k.values[np.maximum(np.searchsorted(k.t_ns, t_ns, "right") - 1, 0)] for k in alike]
    fastest = np.max(held, axis=0)
    tests = [[p for p in timed if p.test == test] for test in dict.fromkeys(p.test for p in timed)]
    relative = np.concatenate([_relative(fastest[_within(t_ns, phases)]) for phases in tests])
    if not len(relative):
        return None
    lowered = relative[relative < _LOWERED]
    level = f" at {np.median(lowered):.0%} of its value at the start" if len(lowered) else ""
    return _Dip(name + level, len(lowered) / len(relative))


def _relative(clocks: F64) -> F64:
    """Clocks as shares of their median in the first tenth; nothing where they were not steady even there.

    Such a clock belongs to something that has no steady load, and its ups and downs are no throttling.
    """
    if len(clocks) < 2 * _FIRST:
        return clocks[:0]
    first = clocks[: max(_FIRST, len(clocks) // 10)]
    start = float(np.median(first))
    steady = start > 0 and float((np.abs(first / start - 1) < 1 - _LOWERED).mean()) >= 1 - _NOTICEABLE
    return clocks / start if steady else clocks[:0]
