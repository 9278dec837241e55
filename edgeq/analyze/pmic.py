"""A Raspberry Pi 5's board power from the sum of its rails, fitted to the user's own meter."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from scipy.stats import linregress

from edgeq import stats
from edgeq.analyze.clocks import on_host_clock
from edgeq.errors import InputError
from edgeq.records import BenchRecord, PmicModel, Trace
from edgeq.stats import Source, Window

# A line through points that differ by less than this has no slope to speak of.
_LEAST_SPREAD_W = 0.5


class PmicFit(msgspec.Struct, frozen=True):
    """The model, the standard errors of its two coefficients, and how far the points lie from it."""

    model: PmicModel
    gain_se: float
    offset_se_w: float
    residual_w: float
    n_points: int
    rails_w: tuple[float, ...]
    meter_w: tuple[float, ...]


def fit_pmic(records: Sequence[BenchRecord]) -> PmicFit:
    """Least squares of the meter's mean watts over the rails' in each idle phase and each test of the records.

    Raises InputError where the records do not hold both, or not at different enough loads.
    """
    pairs = [pair for record in records for pair in _pairs(record)]
    x, y = np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs])
    if len(pairs) < 3 or np.ptp(x) < _LEAST_SPREAD_W:
        raise InputError(
            f"These records hold {len(pairs)} phases that both the rails and a meter have measured"
            + (f", {np.ptp(x):.1f} W apart." if len(pairs) > 1 else "."),
            "Bench a model with a profile that describes the meter, with idle phases and two tests at least.",
        )
    line = linregress(x, y)
    residual = y - (line.slope * x + line.intercept)
    return PmicFit(
        PmicModel(float(line.slope), float(line.intercept), "fitted to a meter"),
        float(line.stderr),
        float(line.intercept_stderr),
        float(np.sqrt((residual**2).sum() / (len(pairs) - 2))),
        len(pairs),
        tuple(x.tolist()),
        tuple(y.tolist()),
    )


def _pairs(record: BenchRecord) -> list[tuple[float, float]]:
    traces, _ = on_host_clock(record)
    found = stats.sources(t.channel for t in traces)
    rails = next((s for s in found if s.sensor == "pi_pmic" and s.scope == "rail"), None)
    meter = next((s for s in found if s.sensor == "meter"), None)
    if rails is None or meter is None:
        return []
    kinds: dict[tuple[str, str | None, int], list[Window]] = {}
    for p in record.phases:
        if p.timed or p.kind in ("idle", "loaded"):
            rep = 0 if p.timed else p.rep
            kinds.setdefault((p.kind, p.test, rep), []).append(Window(p.t0_ns, p.t1_ns))
    both = [(_mean_w(traces, rails, w), _mean_w(traces, meter, w)) for w in kinds.values()]
    return [(a, b) for a, b in both if a is not None and b is not None]


def _mean_w(traces: Sequence[Trace], source: Source, windows: Sequence[Window]) -> float | None:
    reading = stats.total([stats.integrate(t, windows) for t in traces if t.channel in source.channels])
    return None if reading.joules is None else reading.joules / reading.window_s
