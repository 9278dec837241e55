"""Limits for a change for the worse, and what became of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import get_args

import msgspec

from edgeq.analyze.compare.verdicts import BETTER
from edgeq.errors import InputError
from edgeq.records.compare import Change, Check, ComparisonReport, Limit, Quantity

_LIMIT = re.compile(r"([+-])(\d+(?:\.\d*)?|\.\d+)(%|pp)")
QUANTITIES: tuple[Quantity, ...] = get_args(Quantity)


def parse_limit(quantity: Quantity, text: str) -> Limit:
    """``-3%`` of a quantity that is better the more there is of it, ``+5%`` of one that is better the less there is.

    The agreement ``top1`` is a share, of which percent would have two meanings: it is limited in percentage points
    (``-1pp``). Raises InputError that says how to write it.
    """
    sign, unit = ("-" if BETTER[quantity] > 0 else "+"), ("pp" if quantity == "top1" else "%")
    m = _LIMIT.fullmatch(text.strip())
    example = f"Write {quantity}:{sign}{m[2] if m else 3}{unit}."
    if not m:
        raise InputError(f"{text!r} is no limit for {quantity}.", example)
    if m[1] != sign:
        raise InputError(f"{quantity} gets worse in the other direction than {text}.", example)
    if m[3] != unit:
        raise InputError(f"{quantity} is limited in {unit}, not {m[3]}.", example)
    return Limit(quantity, float(f"{m[1]}{m[2]}") / 100)


def check(report: ComparisonReport, limits: Iterable[Limit]) -> ComparisonReport:
    """The report with one check for each limit.

    It fails where a whole interval lies beyond the limit, and passes where none does and everything of this quantity
    could be compared. An interval that reaches beyond the limit passes, and is told.
    """
    return msgspec.structs.replace(report, checks=tuple(_checked(report, limit) for limit in limits))


def _checked(report: ComparisonReport, limit: Limit) -> Check:
    named = [(pair.name, c) for pair in report.pairs for c in pair.changes if c.quantity == limit.quantity]
    beyond = [_words(name, c) for name, c in named if c.ci95 and _beyond(c, c.ci95, limit)]
    if beyond:
        return Check(limit, "failed", ", ".join(beyond))
    unknown = [_words(name, c) for name, c in named if c.verdict == "not comparable"]
    if unknown or not named:
        return Check(limit, "not comparable", ", ".join(unknown) or "not measured on both sides")
    wide = [_words(name, c) for name, c in named if c.ci95 and _beyond(c, c.ci95[::-1], limit)]
    return Check(limit, "passed", f"the interval is too wide to exclude it: {', '.join(wide)}" if wide else "")


def _beyond(change: Change, ci95: tuple[float, float], limit: Limit) -> bool:
    """Whether the better end of an interval lies beyond the limit; with its ends exchanged, whether the worse one."""
    low, high = ci95
    edge = limit.allowed if change.quantity == "top1" else 1 + limit.allowed
    return high < edge if BETTER[limit.quantity] > 0 else low > edge


def _words(name: str, change: Change) -> str:
    return " ".join(part for part in (name, change.test) if part)
