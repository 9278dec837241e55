"""What one record of a meter says: numbers out of JSON, a CSV line or a text that a pattern matches."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from edgeq.records import Meter
from edgeq.sensors._meter_presets import UNITS

_SHOWN = 80
_DELIMITERS = ",;\t"
_LATEST_S = 9e9  # in ns, this fills 64 bits; a time in ms is later


class Reading(NamedTuple):
    """One record: what the meter gives of the two, and its own time, ns on its own clock."""

    power_w: float | None
    energy_j: float | None
    t_ns: int | None


class Decoder:
    """Reads records as a description says. A record that lacks one of the fields is counted and skipped.

    ``n_bad`` and ``first_bad``: records that could not be used. ``step_w``, ``step_j``: the last decimal that the meter
    gives, which is the finest its resolution can be.
    """

    def __init__(self, meter: Meter) -> None:
        self.n_bad = 0
        self.first_bad = ""
        self.step_w: float | None = None
        self.step_j: float | None = None
        self._fields = meter.fields
        self._values: Callable[[str], dict[str, Any] | None]
        if meter.format == "csv":
            self._values = _Table(meter.fields).values
        elif meter.format == "regex":
            self._values = _Pattern(meter.pattern, meter.fields).values
        else:
            self._values = _Json(meter.fields).values

    def read(self, text: str) -> Reading | None:
        """What a record says, None where it says nothing that can be used.

        NaN and infinity are no numbers, nor are ``true`` and ``"1"`` in JSON.
        """
        if not text.strip():
            return None
        try:
            values = self._values(text)
            if values is None:
                return None
            return self._reading({name: _number(value) for name, value in values.items()})
        except (ValueError, LookupError, ArithmeticError, RecursionError, csv.Error):
            self.n_bad += 1
            self.first_bad = self.first_bad or text.strip()[:_SHOWN]
            return None

    def expected(self) -> str:
        """The fields in words."""
        return ", ".join(f"{name} at {where}" for name, where in self._fields.items())

    def _reading(self, numbers: dict[str, Decimal]) -> Reading:
        power_w = energy_j = t_ns = None
        for name, number in numbers.items():
            value, step = float(number) * UNITS[name], _step(number) * UNITS[name]
            if not math.isfinite(value) or (name == "t_s" and abs(value) > _LATEST_S):
                raise ValueError
            if name == "t_s":
                t_ns = round(number * 10**9)
            elif name == "power_w":
                power_w, self.step_w = value, min(step, self.step_w or step)
            else:
                energy_j, self.step_j = value, min(step, self.step_j or step)
        return Reading(power_w, energy_j, t_ns)


class _Json:
    """Values at JSON pointers (RFC 6901)."""

    def __init__(self, fields: dict[str, str]) -> None:
        self._paths = {
            name: [p.replace("~1", "/").replace("~0", "~") for p in pointer.split("/")[1:]]
            for name, pointer in fields.items()
        }

    def values(self, text: str) -> dict[str, Any]:
        # Decimals keep the zeros at the end, which tell the meter's resolution.
        record = json.loads(text, parse_float=Decimal)
        return {name: _numeric(_at(record, path)) for name, path in self._paths.items()}


class _Table:
    """Cells under a header line; lines before the header are not the table's."""

    def __init__(self, fields: dict[str, str]) -> None:
        self._fields = fields
        self._columns: list[str] | None = None
        self._delimiter = ","

    def values(self, text: str) -> dict[str, Any] | None:
        if self._columns is None:
            self._delimiter = max(_DELIMITERS, key=text.count)
            columns = self._cells(text.lstrip("\ufeff"))
            if not set(self._fields.values()) <= set(columns):
                raise ValueError
            self._columns = columns
            return None
        cells = self._cells(text)
        if len(cells) != len(self._columns):
            raise ValueError
        row = dict(zip(self._columns, cells, strict=True))
        return {name: row[column] for name, column in self._fields.items()}

    def _cells(self, text: str) -> list[str]:
        return [cell.strip() for cell in next(csv.reader([text], delimiter=self._delimiter))]


class _Pattern:
    """Groups of a regular expression."""

    def __init__(self, pattern: str, fields: dict[str, str]) -> None:
        self._pattern = re.compile(pattern)
        self._groups: dict[str, str | int] = {
            name: group if group in self._pattern.groupindex else int(group) for name, group in fields.items()
        }

    def values(self, text: str) -> dict[str, Any]:
        match = self._pattern.search(text)
        if match is None:
            raise ValueError
        return {name: match[group] for name, group in self._groups.items()}


def _at(record: Any, path: list[str]) -> Any:
    for part in path:
        if isinstance(record, list):
            record = record[int(part)]
        elif isinstance(record, dict):
            record = record[part]
        else:
            raise LookupError
    return record


def _numeric(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        raise ValueError
    return value


def _number(value: Any) -> Decimal:
    try:
        number = Decimal(value)
    except (InvalidOperation, TypeError):
        raise ValueError from None
    if not number.is_finite():
        raise ValueError
    return number


def _step(number: Decimal) -> float:
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int)  # it is finite
    return 10.0 ** min(exponent, 0)
