"""What a million tokens cost as a line over the price of a kWh."""

from __future__ import annotations

import math
from typing import NamedTuple

from msgspec.structs import replace

from edgeq import stats
from edgeq.records import Cost, Energy, Estimate, Speed, Tariff


class Line(NamedTuple):
    """Cost per million tokens = ``slope`` * price per kWh + ``fixed``, each with its standard error (NaN: unknown)."""

    slope: float
    slope_se: float
    fixed: float
    fixed_se: float

    def at(self, per_kwh: float) -> Estimate:
        """The cost at a price of the kWh; the two parts' errors are taken as independent."""
        se = math.hypot(self.slope_se * per_kwh, self.fixed_se)
        return Estimate(self.slope * per_kwh + self.fixed, None if math.isnan(se) else se)


def line(speed: Speed, energy: Energy | None, tariff: Tariff) -> tuple[Line | None, Cost]:
    """The line by `stats.cost` at a price of 1, and what is known of the cost there; no line without the energy.

    The hardware's share goes with 1 / (t/s), so its relative error is that of the speed.
    """
    cost = stats.cost(speed, energy, replace(tariff, per_kwh=1.0))
    if cost.energy_per_mtok is None:
        return None, cost
    slope, fixed = cost.energy_per_mtok, cost.hardware_per_mtok
    if fixed is None:
        return Line(slope.value, _se(slope), 0.0, 0.0), cost
    return Line(slope.value, _se(slope), fixed, fixed * _se(speed.tps) / speed.tps.value), cost


def _se(found: Estimate) -> float:
    return math.nan if found.se is None else found.se
