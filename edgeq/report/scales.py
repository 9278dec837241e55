"""Mappings from values to SVG units, and the ticks that go with them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edgeq.report.figures import fixed

# A KLD this far below the largest one is noise; following it would flatten everything else.
MOST_DECADES = 6
# The least range of a linear axis as a share of its values.
LEAST_RANGE = 0.05


@dataclass(frozen=True)
class Tick:
    """A position in SVG units and the number written there (empty for a minor tick)."""

    at: float
    text: str


@dataclass(frozen=True)
class Linear:
    """Values from ``low`` to ``high`` onto SVG units ``start`` to ``stop``; outside, the nearest end."""

    low: float
    high: float
    start: float
    stop: float

    def at(self, value: float) -> float:
        """Position of ``value`` in SVG units."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.start + share * (self.stop - self.start)

    def ticks(self, about: int = 6) -> list[Tick]:
        """Round numbers, roughly ``about`` of them."""
        step = nice_step((self.high - self.low) / about)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        decimals = max(0, -math.floor(math.log10(step) + 1e-9))
        values = [index * step for index in range(first, last + 1)]
        return [Tick(self.at(value), f"{float(fixed(value, decimals)):,.{decimals}f}") for value in values]


@dataclass(frozen=True)
class Log:
    """Positive values on a logarithmic axis, and a strip at ``under`` for everything below ``low``.

    Zero and negative estimates have no logarithm, but are results: they are drawn in the strip.
    """

    low: float
    high: float
    start: float
    stop: float
    under: float | None = None

    def at(self, value: float) -> float:
        """Position of ``value`` in SVG units."""
        if value < self.low and self.under is not None:
            return self.under
        share = math.log(min(max(value, self.low), self.high) / self.low) / math.log(self.high / self.low)
        return self.start + share * (self.stop - self.start)

    def ticks(self, about: int = 6) -> list[Tick]:
        """Powers of ten, with 2 and 5 between them where there is room, and the strip."""
        decades = math.log10(self.high / self.low)
        steps = (1, 2, 5) if decades < about / 2 else (1,)
        found = []
        for power in range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1):
            for step in range(1, 10):
                value = step * 10.0**power
                if self.low * (1 - 1e-9) <= value <= self.high * (1 + 1e-9):
                    found.append(Tick(self.at(value), short(value) if step in steps else ""))
        if self.under is not None:
            found.append(Tick(self.under, f"<{short(self.low)}"))
        return found


Scale = Linear | Log


def short(value: float) -> str:
    """A tick's number: plain where it is short, a power of ten where it is not."""
    return f"{value:.6g}" if value == 0 or value >= 1e-4 else f"{value:.1g}".replace("e-0", "e-")


def nice_step(rough: float) -> float:
    """The smallest of 1, 2, 5 times a power of ten that is at least ``rough``."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= rough * (1 - 1e-9))


def linear(values: list[float], start: float, stop: float, from_zero: bool = True) -> Linear:
    """A linear scale around ``values`` with some air; from zero when the values reach near it, if wanted."""
    low, high = min(values), max(values)
    # A range of a few percent would show nothing but the noise of one or two points.
    narrow = max(0.0, LEAST_RANGE * max(abs(low), abs(high)) - (high - low)) / 2
    air = (high - low) * 0.08 + narrow or 1.0
    bottom = 0.0 if from_zero and 0 <= low <= high / 2 else low - air
    return Linear(bottom, high + air, start, stop)


def sizes(values: list[float], start: float, stop: float) -> Scale:
    """A scale for file sizes: logarithmic where one far larger file would push all others together."""
    if min(values) > 0 and max(values) > 5 * min(values):
        return Log(min(values) / 1.12, max(values) * 1.12, start, stop)
    return linear(values, start, stop, from_zero=False)


def log(values: list[float], start: float, stop: float, strip: float = 36.0) -> Log:
    """A logarithmic scale around ``values``, with a strip of ``strip`` SVG units where some are too small."""
    positive = [value for value in values if value > 0]
    if not positive:
        return Log(1e-6, 1.0, start - strip, stop, start - strip / 2)
    high = max(positive) * 1.25
    shown = [value for value in positive if value >= max(positive) * 10.0**-MOST_DECADES]
    low = min(shown) / 1.25
    if high / low < 3:
        middle = math.sqrt(high * low)
        low, high = middle / 2, middle * 2
    if len(shown) == len(values):
        return Log(low, high, start, stop)
    return Log(10.0 ** math.floor(math.log10(low)), high, start - strip, stop, start - strip / 2)
