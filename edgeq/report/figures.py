"""Numbers as text, with as many digits as their standard error supports."""

from __future__ import annotations

import math
from typing import NamedTuple

from edgeq.records import Estimate

NOT_MEASURED = "-"
ABOUT = "≈"
ESTIMATED = f"{ABOUT} marks an estimate: it comes from a model or an assumption, not from a measurement."
MIB = 1024**2
GIB = 1024**3

# Past this many decimals zeros hide the digits that matter, and powers of ten are easier to read.
MOST_DECIMALS = 6


class Cell(NamedTuple):
    """What one table cell says. ``error`` is the standard error in the same unit, empty where none is.

    ``word`` qualifies the figure: what was wrong with its repetitions, or the scope that it belongs to.
    """

    text: str
    error: str = ""
    number: float | None = None
    word: str = ""

    @property
    def figure(self) -> str:
        """The number with its error."""
        return f"{self.text} ±{self.error}" if self.error else self.text

    def __str__(self) -> str:
        return f"{self.figure} {self.word}" if self.word else self.figure


EMPTY = Cell(NOT_MEASURED)


def error_decimals(error: float) -> int:
    """Decimals at which ``error`` shows one significant digit, or two when it starts with 1."""
    mantissa, exponent = f"{error:.1e}".split("e")
    return -int(exponent) + (1 if float(mantissa) < 2 else 0)


def fixed(value: float, decimals: int) -> str:
    """``value`` with ``decimals`` decimals; negative ones round to tens, hundreds, ... Never "-0"."""
    text = f"{round(value, min(decimals, 15)):.{max(decimals, 0)}f}"
    return text.removeprefix("-") if not any(digit in text for digit in "123456789") else text


def significant(value: float, digits: int = 4) -> str:
    """``value`` with ``digits`` significant digits, for values without an error. Zero is "0"."""
    if value == 0:
        return "0"
    if not math.isfinite(value):
        return str(value)
    decimals = digits - 1 - math.floor(math.log10(abs(value)))
    if decimals > MOST_DECIMALS + digits - 1:
        mantissa, exponent = f"{value:.{digits - 2}e}".split("e")
        return f"{mantissa}e{int(exponent)}"
    return fixed(value, max(decimals, 0))


def estimate(measured: Estimate | None, factor: float = 1.0) -> Cell:
    """An estimate times ``factor`` (100 for percent), rounded where its standard error begins."""
    if measured is None:
        return EMPTY
    value = measured.value * factor
    if measured.se is None or not math.isfinite(measured.se) or not math.isfinite(value):
        return Cell(significant(value), "", value)
    error = abs(measured.se * factor)
    if error == 0:
        return Cell(significant(value), "0", value)
    decimals = error_decimals(error)
    if decimals <= MOST_DECIMALS:
        return Cell(fixed(value, decimals), fixed(error, decimals), value)
    power = math.floor(math.log10(max(abs(value), error)))
    kept = max(decimals + power, 0)
    scaled = [f"{fixed(part * 10.0**-power, kept)}e{power}" for part in (value, error)]
    return Cell(scaled[0], scaled[1], value)


def number(value: float | None, digits: int = 3) -> Cell:
    """A value without an error."""
    return EMPTY if value is None else Cell(significant(value, digits), "", value)


def approximate(cell: Cell, estimated: bool) -> Cell:
    """``cell``, marked where what it says is a model's output and not a measurement."""
    return cell._replace(text=f"{ABOUT}{cell.text}") if estimated and cell != EMPTY else cell


def interval(ends: tuple[float, float] | None) -> Cell:
    """A 95 % interval, rounded as a standard error of a quarter of its width would be."""
    if ends is None:
        return EMPTY
    low, high = ends
    quarter = (high - low) / 4
    if not (math.isfinite(low) and math.isfinite(high)) or quarter <= 0:
        return Cell(f"{significant(low)} to {significant(high)}", "", low)
    decimals = min(error_decimals(quarter), MOST_DECIMALS)
    return Cell(f"{fixed(low, decimals)} to {fixed(high, decimals)}", "", low)


def percent(share: float | None) -> Cell:
    """A share of 1 in percent. Only an exact 0 or 1 is shown as 0 or 100."""
    if share is None:
        return EMPTY
    hundredth = share * 100
    if share in (0, 1):
        text = f"{hundredth:.0f}"
    elif abs(hundredth) < 0.05:
        text = "<0.1"
    elif 99.95 <= hundredth < 100:
        text = ">99.9"
    else:
        text = f"{hundredth:.1f}"
    return Cell(text, "", hundredth)


def size_unit(largest_bytes: int) -> tuple[int, str]:
    """Divisor and name of the binary unit for a whole column, so that its cells compare at a glance."""
    return (GIB, "GiB") if largest_bytes >= 4 * GIB else (MIB, "MiB")


def size(n_bytes: int | None, unit: tuple[int, str]) -> Cell:
    """Bytes in the column's unit."""
    if n_bytes is None:
        return EMPTY
    value = n_bytes / unit[0]
    if unit[1] == "GiB":
        return Cell(significant(value, 3) if value < 1 else fixed(value, 2), "", float(n_bytes))
    return Cell(significant(value, 3) if value < 10 else fixed(value, 1), "", float(n_bytes))


def count(n: int) -> str:
    """A whole number with thousands separated."""
    return f"{n:,}"
