"""Energy of a phase, as used (gross) and above what the machine uses at rest (net)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from edgeq.records import Channel, Estimate, Trace
from edgeq.stats.energy import LONGER, Reading, curve, energies, needed_s, read, total
from edgeq.stats.power import highest_w
from edgeq.stats.traces import Curve, Window

_DRIFT = 0.03


class PhaseEnergy(NamedTuple):
    """Energy of a phase's repetitions together, with standard uncertainties that include the meter's limits.

    ``net_j`` is never clipped at 0. ``drift`` says what is wrong with the idle power that was subtracted or could not
    be, ``missing`` why there is no energy at all; both are sentences, or empty.
    """

    gross_j: Estimate | None
    net_j: Estimate | None
    mean_w: Estimate | None
    max_w: float | None
    idle_w: Estimate | None
    loaded_idle_w: Estimate | None
    window_s: float
    drift: str
    missing: str


class _Level(NamedTuple):
    """Mean power in W of one or more windows: ``noise_w`` of their noise and of the drift between them."""

    watts: float
    noise_w: float
    gain: float
    offset_w: float

    @property
    def estimate(self) -> Estimate:
        return Estimate(self.watts, math.hypot(self.noise_w, self.gain * self.watts, self.offset_w))


def phase_energy(
    traces: Sequence[Trace],
    windows: Sequence[Window],
    idle_before: Window | None,
    idle_after: Window | None,
    loaded: Sequence[Window] = (),
) -> PhaseEnergy:
    """Energy in J over a phase's windows of the channels that make up one source.

    net = E - D (P_before + P_after) / 2, u² = u_E² + (D u_idle)² + (D |P_after - P_before| / √12)²: a constant offset
    cancels, and the gain applies to the difference. Where one idle window can't be measured the other serves alone.
    """
    curves = [curve(t) for t in traces]
    used = _together(curves, windows, LONGER)
    idle = [_together(curves, [w], "") if w else None for w in (idle_before, idle_after)]
    rest, loaded_rest = _level(idle), _level([_together(curves, [w], "") for w in loaded])
    idle_w, loaded_idle_w = rest and rest.estimate, loaded_rest and loaded_rest.estimate
    drift = _drift([t.channel for t in traces], *idle)
    if used.joules is None:
        return PhaseEnergy(None, None, None, None, idle_w, loaded_idle_w, used.window_s, drift, used.missing)

    length_s = used.window_s
    noise_j = max(used.noise_j, _scatter_j(curves, windows))
    gross = Estimate(used.joules, math.hypot(noise_j, used.gain * used.joules, used.offset_w * length_s))
    net = None
    if rest:
        net_j = used.joules - length_s * rest.watts
        net = Estimate(net_j, math.hypot(noise_j, length_s * rest.noise_w, used.gain * net_j))
    mean_w = Estimate(gross.value / length_s, (gross.se or 0.0) / length_s)
    return PhaseEnergy(gross, net, mean_w, used.max_w, idle_w, loaded_idle_w, length_s, drift, "")


def _together(curves: Sequence[Curve | None], windows: Sequence[Window], cure: str) -> Reading:
    """The sum of all channels; where it is a power, its peak is that of the sum."""
    used = total([read(c, windows, cure) for c in curves])
    if used.joules is None or len(curves) == 1:
        return used
    return used._replace(max_w=highest_w([c for c in curves if c], windows))


def _level(readings: Sequence[Reading | None]) -> _Level | None:
    """Their mean, as if power had gone evenly from the lowest to the highest; None where none was measured."""
    known = [(r, r.joules / r.window_s) for r in readings if r and r.joules is not None]
    if not known:
        return None
    watts = [w for _, w in known]
    noise_w = math.hypot(*(r.noise_j / r.window_s for r, _ in known)) / len(known)
    return _Level(
        sum(watts) / len(known),
        math.hypot(noise_w, (max(watts) - min(watts)) / math.sqrt(12)),
        known[0][0].gain,
        known[0][0].offset_w,
    )


def _drift(channels: Sequence[Channel], before: Reading | None, after: Reading | None) -> str:
    """What is wrong with the idle power, in a sentence."""
    levels = [_level([r]) for r in (before, after)]
    lost = [r.missing for r in (before, after) if r and r.joules is None]
    why = f": {lost[0][0].lower()}{lost[0][1:]}" if lost else "."
    if levels[0] is None and levels[1] is None:
        return f"Idle power could not be measured{why}" if lost else ""
    if levels[0] is None or levels[1] is None:
        when = "before" if levels[0] else "after"
        return f"Idle power is only known from {when} the run, so that its drift is not{why}"
    was, now = levels[0].watts, levels[1].watts
    idle_s = min(r.window_s for r in (before, after) if r)
    lsb_w = sum((c.lsb or 0.0) / (idle_s if c.quantity == "energy" else 1.0) for c in channels)
    if abs(now - was) <= max(_DRIFT * abs(now + was) / 2, 2 * lsb_w):
        return ""
    return f"Idle power was {was:.3g} W before the run and {now:.3g} W after it."


def _scatter_j(curves: Sequence[Curve | None], windows: Sequence[Window]) -> float:
    """Standard error of the sum from how the energies of repetitions differ.

    Repetitions that are too short for the sensor count together with those beside them; 0 where that leaves fewer than
    three groups, or two of single repetitions.
    """
    known = [c for c in curves if c is not None]
    if len(known) < len(curves) or len(windows) < 2:
        return 0.0
    shortest_s = min(float(np.diff(c.seconds(windows)).min()) for c in known)
    needed = max(needed_s(c, c.seconds(windows)[:1]) for c in known)
    size = max(1, math.ceil(needed / shortest_s))
    n = len(windows) // size
    if n < (2 if size == 1 else 3):
        return 0.0
    each_j = np.sum([energies(c, c.seconds(windows)) for c in known], axis=0)
    groups_j = each_j[: n * size].reshape(n, size).sum(axis=1)
    return math.sqrt(len(windows) / size) * float(groups_j.std(ddof=1))
