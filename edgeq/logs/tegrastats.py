"""What NVIDIA's tegrastats printed: power of the rails, temperatures, clocks and memory, a line at a time.

Of the two or three values of a rail the first is the present one. The others are tegrastats' own averages since it was
started and are never used. Lines of all releases are read, from L4T 28 to JetPack 7.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Literal

from edgeq.errors import InputError
from edgeq.logs._traces import trace, update_period_s
from edgeq.records import Channel, Scope, Trace
from edgeq.sensors._rails import summands

# VDD_IN 4067/4067   VDD_IN 5299mW/5299mW   VDD_GPU_SOC 5139mW/5139mW/5139mW   but not RAM 2505/7775MB
_RAIL = re.compile(r"\b([A-Za-z]\w*) (-?\d+)(?:mW(?:/-?\d+mW){0,2}|(?:/-?\d+){1,2})(?=\s|$)")
_TEMPERATURE = re.compile(r"\b(\w+)@(-?\d+(?:\.\d+)?)C\b")
_GPU = re.compile(r"\bGR3D(?:_FREQ)? (?:\d+%)?@\[?(\d+(?:,\d+)*)")
_CPU = re.compile(r"\bcpu \[([^\]]*)\](?:@(\d+))?", re.IGNORECASE)
_RAM = re.compile(r"\bRAM (\d+)/\d+MB\b")
_DATE = re.compile(r"\d\d-\d\d-\d{4} \d\d:\d\d:\d\d")
_GATED_C = -256.0

_Key = tuple[Literal["power", "temperature", "frequency", "memory"], str]


def recognizes(data: bytes) -> bool:
    """Whether the first lines are of tegrastats."""
    return re.search(rb"\bRAM \d+/\d+MB ?\(lfb ", data[:4096]) is not None


def parse(data: bytes, name: str, interval_s: float | None = None) -> tuple[Trace, ...]:
    """One trace per rail, temperature and clock, and the memory in use; ns since the first line.

    Times are the dates at the head of the lines, to a second: lines of the same second are spread over it. Lines
    without a date need ``interval_s``, which tegrastats was given in ms as --interval; without either, InputError.
    """
    lines = [line for line in data.decode("utf-8", "replace").splitlines() if _RAM.search(line)]
    columns: dict[_Key, tuple[list[int], list[float]]] = {}
    times = _times(lines, name, interval_s)
    for t_ns, line in zip(times, lines, strict=True):
        for key, value in _values(line):
            at, values = columns.setdefault(key, ([], []))
            if not at or at[-1] < t_ns:  # else somebody has set the clock back
                at.append(t_ns)
                values.append(value)
    totals = summands(rail for quantity, rail in columns if quantity == "power")
    period_s = update_period_s(times)
    return tuple(trace(_channel(key, totals, period_s, name), at, values) for key, (at, values) in columns.items())


def _values(line: str) -> Iterator[tuple[_Key, float]]:
    for rail, milliwatts in _RAIL.findall(line):
        if rail != "NC":  # not connected
            yield ("power", rail), int(milliwatts) / 1000
    for zone, degrees in _TEMPERATURE.findall(line):
        # PMIC is a constant of the device tree, -256 a zone that is switched off.
        if zone != "PMIC" and float(degrees) > _GATED_C:
            yield ("temperature", zone), float(degrees)
    if gpu := _GPU.search(line):
        # One clock for each cluster; a cluster that is switched off shows 0.
        yield ("frequency", "GR3D"), max(map(int, gpu[1].split(","))) * 1e6
    if cpu := _CPU.search(line):
        clocks = [int(mhz) for mhz in [*re.findall(r"@(\d+)", cpu[1]), cpu[2]] if mhz]
        if clocks:
            yield ("frequency", "CPU"), max(clocks) * 1e6
    if ram := _RAM.search(line):
        yield ("memory", "RAM"), int(ram[1]) * 2.0**20


def _times(lines: Sequence[str], name: str, interval_s: float | None) -> list[int]:
    dates = [_date(line) for line in lines]
    if None not in dates:
        return _spread([d for d in dates if d is not None])
    if interval_s is None:
        raise InputError(
            f"{name} does not say when its lines were written.", "Tell the --interval of tegrastats, 1 s by default."
        )
    if not (math.isfinite(interval_s) and interval_s > 0):
        raise InputError(f"An interval of {interval_s:g} s between two lines can't be.", "It is more than 0.")
    return [round(i * interval_s * 1e9) for i in range(len(lines))]


def _date(line: str) -> datetime | None:
    found = _DATE.match(line)
    try:
        return datetime.strptime(found[0], "%m-%d-%Y %H:%M:%S") if found else None
    except ValueError:
        return None


def _spread(dates: Sequence[datetime]) -> list[int]:
    times: list[int] = []
    first = 0
    for i in range(1, len(dates) + 1):
        if i == len(dates) or dates[i] != dates[first]:
            second_ns = round((dates[first] - dates[0]).total_seconds()) * 10**9
            times += [second_ns + k * 10**9 // (i - first) for k in range(i - first)]
            first = i
    return times


def _channel(key: _Key, totals: dict[str, Scope], period_s: float | None, source: str) -> Channel:
    quantity, name = key
    scopes: dict[str, Scope] = {"power": totals.get(name, "rail"), "memory": "system"}
    return Channel(
        name=name,
        quantity=quantity,
        kind="gauge",
        unit={"power": "W", "temperature": "degC", "frequency": "Hz", "memory": "bytes"}[quantity],
        scope=scopes.get(quantity, "module"),
        update_period_s=period_s,
        sensor="tegrastats",
        source=source,
        summand=quantity != "power" or name in totals,
        clock="device",
    )
