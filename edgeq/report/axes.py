"""The axes of plots: which values they span, and the numbers written on them."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

Spec = dict[str, Any]

# A KLD this far below the largest one is noise; following it would flatten everything else.
MOST_DECADES = 6
# The least range of a linear axis as a share of its values.
LEAST_RANGE = 0.05
# Vega's own formats either write 1e-7 for 0.0000001 or 0.0001, but not each where it is the shorter one.
SHORT = "(datum.value < 1e-4 ? format(datum.value, '.0e') : format(datum.value, ',~r'))"


class Axis(NamedTuple):
    """A title, the values at both ends, and the ticks (none: as Vega chooses).

    ``floor``: everything below is drawn there, as zero and negative estimates have no logarithm, but are results.
    """

    title: str
    low: float
    high: float
    is_log: bool = False
    ticks: tuple[float, ...] = ()
    floor: float | None = None

    def drawn(self, value: float) -> float:
        """``value`` as it is drawn."""
        return value if self.floor is None else max(value, self.floor)

    def share(self, value: float) -> float:
        """How far along the axis ``value`` is drawn, from 0 to 1."""
        low, high, at = self.low, self.high, min(max(self.drawn(value), self.low), self.high)
        return math.log(at / low) / math.log(high / low) if self.is_log else (at - low) / (high - low)

    def encoding(self, field: str, n_ticks: int = 6) -> Spec:
        """The channel of a Vega-Lite specification that shows ``field`` along this axis."""
        return {
            "field": field,
            "type": "quantitative",
            "title": self.title,
            "scale": self._scale(),
            "axis": self._axis(n_ticks),
        }

    def _scale(self) -> Spec:
        kind = {"type": "log"} if self.is_log else {"zero": False}
        return {**kind, "domain": [self.low, self.high], "nice": False}

    def _axis(self, n_ticks: int) -> Spec:
        if not self.ticks:
            return {"tickCount": n_ticks, "format": ",~r"}
        floor = f"(datum.value == {self.floor!r} ? '≤ ' : '') + " if self.floor is not None else ""
        return {"values": list(self.ticks), "labelExpr": floor + SHORT}


def linear(values: list[float], title: str, from_zero: bool = True) -> Axis:
    """Around ``values`` with some air; from zero when the values reach near it, if wanted."""
    low, high = min(values), max(values)
    # A range of a few percent would show nothing but the noise of one or two points.
    narrow = max(0.0, LEAST_RANGE * max(abs(low), abs(high)) - (high - low)) / 2
    air = (high - low) * 0.08 + narrow or 1.0
    return Axis(title, 0.0 if from_zero and 0 <= low <= high / 2 else low - air, high + air)


def sizes(values: list[float], title: str) -> Axis:
    """For file sizes: logarithmic where one far larger file would push all others together."""
    if min(values) > 0 and max(values) > 5 * min(values):
        low, high = min(values) / 1.12, max(values) * 1.12
        return Axis(f"{title} (log scale)", low, high, True, _powers(low, high))
    return linear(values, title, from_zero=False)


def log(values: list[float], title: str) -> Axis:
    """Logarithmic, with a floor where some values are too small for it."""
    positive = [value for value in values if value > 0]
    if not positive:
        return Axis(title, 0.8e-6, 1.0, True, _powers(1e-6, 1.0), 1e-6)
    high = max(positive) * 1.25
    shown = [value for value in positive if value >= max(positive) * 10.0**-MOST_DECADES]
    low = min(shown) / 1.25
    if high / low < 3:
        middle = math.sqrt(high * low)
        low, high = middle / 2, middle * 2
    if len(shown) == len(values):
        return Axis(title, low, high, True, _powers(low, high))
    floor = 10.0 ** math.floor(math.log10(low) - 0.3)
    return Axis(title, floor * 0.8, high, True, _powers(floor, high), floor)


def _powers(low: float, high: float) -> tuple[float, ...]:
    """Powers of ten, with as many numbers between them as there is room for."""
    decades = math.log10(high / low)
    steps = (1, 1.5, 2, 3, 5, 7) if decades < 1 else (1, 2, 5) if decades < 2.5 else (1, 3) if decades < 4 else (1,)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found = [float(f"{step}e{power}") for power in powers for step in steps]
    return tuple(value for value in found if low * (1 - 1e-9) <= value <= high * (1 + 1e-9))
