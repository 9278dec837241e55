"""Which plots a summary gives: quality against size; t/s, energy and memory against quality."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from edgeq.records import Estimate, Row, Summary
from edgeq.report import axes, energy, memory
from edgeq.report.axes import Axis
from edgeq.report.columns import rate, unit_of_sizes
from edgeq.report.figures import approximate, estimate, size
from edgeq.report.rows import FAMILIES, Key, devices, family, key, labels, on_front, ordered, plain, speed_of, tests

KLD, PPL = "Mean KLD, nats (log scale, lower is better)", "Perplexity (lower is better)"


@dataclass(frozen=True)
class Point:
    """One model: position and standard error in the axes' units, and what to say about it by name."""

    x: float
    y: float
    error: float | None
    label: str
    facts: dict[str, str]
    family: str
    on_front: bool
    reference: bool = False


@dataclass(frozen=True)
class Chart:
    """What to draw. ``name`` is unique in the report; the front's line is drawn only where ``step`` is set.

    ``families``: titles of all families that its points may have, in the order of their colors.
    """

    name: str
    title: str
    quantity: str
    x: Axis
    y: Axis
    points: tuple[Point, ...]
    step: bool = False
    families: Mapping[str, str] = field(default_factory=lambda: FAMILIES)

    @property
    def described(self) -> str:
        """The points in words, for those who can't see them. The table has all of them."""
        said = [f"{point.label}: {point.facts[self.quantity]}" for point in self.points[:24]]
        left = len(self.points) - len(said)
        return f"{self.title}. {'; '.join(said)}{f'; and {left} more' if left else ''}."


class _Value(NamedTuple):
    """One model's value on the vertical axis, and how it is told."""

    row: Row
    y: float
    error: float | None
    told: str


class _Common(NamedTuple):
    """What is the same for all points of a summary."""

    names: dict[Key, str]
    scale: tuple[int, str]
    front: set[tuple[str, str]]
    several_devices: bool


class _Across(NamedTuple):
    """The horizontal axis: where a row lies on it (None: nowhere), and how it is scaled."""

    at: Callable[[Row], float | None]
    axis: Callable[[list[float]], Axis]


def quality_chart(summary: Summary) -> Chart | None:
    """Mean KLD on a logarithmic axis, or PPL where no KLD was measured; ``None`` without either."""
    # The same file measured for quality on two devices is one point: quality belongs to the file.
    rows = list({row.sha256: row for row in reversed(ordered(summary)) if row.quality}.values())[::-1]
    klds = [_value(row, row.quality.kld, "nats") for row in rows if row.quality and row.quality.kld]
    ppls = [_value(row, row.quality.ppl, "") for row in rows if row.quality]
    title, across = "Quality against size", _by_size(summary)
    if klds:
        return _chart(summary, "quality", title, across, "Mean KLD", KLD, klds, axes.log, True)
    return _chart(summary, "quality", title, across, "PPL", PPL, ppls, axes.linear, True)


def speed_charts(summary: Summary) -> list[Chart]:
    """One chart for each device and test, decode first: that is what a user waits for."""
    rows = ordered(summary)
    charts: list[Chart | None] = []
    for device in devices(rows):
        for test in reversed(tests(rows)):
            values = []
            for row in rows:
                speed = speed_of(row, test)
                if speed and row.device == device:
                    error = None if speed.state else speed.tps.se
                    values.append(_Value(row, speed.tps.value, error, f"{rate(speed)} t/s"))
            what = "decode" if test.startswith("tg") else "prefill"
            title = f"{plain(test)} ({what}){_where(summary, device)}"
            charts.append(
                _panel(summary, f"speed-{len(charts) + 1}", title, plain(test), f"{plain(test)}, t/s", values)
            )
    return [chart for chart in charts if chart]


def energy_charts(summary: Summary) -> list[Chart]:
    """One chart for each device, test and headline scope, decode first; estimates never beside measurements."""
    charts: list[Chart | None] = []
    factor, unit = energy.unit(summary)
    for device in devices(ordered(summary)):
        for test in reversed(energy.tests(summary)):
            panels: dict[tuple[str, bool], list[_Value]] = {}
            for row, found in energy.headlines(summary, test):
                gross = found.gross_j_per_token
                if gross and row.device == device:
                    told = f"{approximate(estimate(gross, factor), found.estimated)} {unit} ({plain(found.scope)})"
                    error = None if gross.se is None else gross.se * factor
                    panels.setdefault((found.scope, found.estimated), []).append(
                        _Value(row, gross.value * factor, error, told)
                    )
            for (scope, estimated), values in panels.items():
                quantity = f"{plain(test)} energy ({plain(scope)}{', estimated' if estimated else ''})"
                name, title = f"energy-{len(charts) + 1}", f"{quantity}{_where(summary, device)}"
                charts.append(_panel(summary, name, title, quantity, f"{quantity}, {unit}", values))
    return [chart for chart in charts if chart]


def memory_charts(summary: Summary) -> list[Chart]:
    """One chart for each device: the peak of the measured process."""
    factor, unit = scale = unit_of_sizes(summary)
    charts: list[Chart | None] = []
    for device in devices(ordered(summary)):
        peaks = [(row, memory.rss_peak(row)) for row in ordered(summary) if row.device == device]
        values = [_Value(row, n / factor, None, f"{size(n, scale)} {unit}") for row, n in peaks if n is not None]
        name, title = f"memory-{len(charts) + 1}", f"RAM peak{_where(summary, device)}"
        charts.append(_panel(summary, name, title, "RAM peak", f"RAM peak (RSS), {unit}", values))
    return [chart for chart in charts if chart]


def _value(row: Row, measured: Estimate, unit: str) -> _Value:
    return _Value(row, measured.value, measured.se, f"{estimate(measured)} {unit}".strip())


def _where(summary: Summary, device: str) -> str:
    return f" on {plain(device)}" if len(devices(list(summary.rows))) > 1 else ""


def _panel(summary: Summary, name: str, title: str, quantity: str, y_title: str, values: list[_Value]) -> Chart | None:
    return _chart(summary, name, title, _by_quality(summary), quantity, y_title, values, axes.linear)


def _by_size(summary: Summary) -> _Across:
    factor, unit = unit_of_sizes(summary)
    title = f"File size, {unit}"
    return _Across(lambda row: row.n_bytes / factor, lambda values: axes.sizes(values, title))


def _by_quality(summary: Summary) -> _Across:
    """Mean KLD, or else PPL; file size where no quality was measured. The reference is its own measure: KLD 0."""
    if any(row.quality and row.quality.kld for row in summary.rows):
        return _Across(_kld, lambda values: axes.log(values, KLD))
    if any(row.quality for row in summary.rows):
        return _Across(_ppl, lambda values: axes.linear(values, PPL))
    return _by_size(summary)


def _kld(row: Row) -> float | None:
    if row.quality and row.quality.kld:
        return row.quality.kld.value
    return 0.0 if row.reference else None


def _ppl(row: Row) -> float | None:
    return row.quality.ppl.value if row.quality else None


def _chart(
    summary: Summary, name: str, title: str, across: _Across, quantity: str, y_title: str,
    values: list[_Value], along: Callable[[list[float], str], Axis], step: bool = False,
) -> Chart | None:  # fmt: skip
    common = _Common(labels(list(summary.rows)), unit_of_sizes(summary), _front(summary),
                     len(devices(list(summary.rows))) > 1)  # fmt: skip
    points = []
    for value in values:
        x = across.at(value.row)
        if x is not None and math.isfinite(x) and math.isfinite(value.y):
            points.append(_point(common, x, quantity, value))
    if not points:
        return None
    ends = [p.y + sign * (p.error or 0) for p in points for sign in (-1, 1)]
    y = along([p.y for p in points] if along is axes.log else ends, y_title)
    return Chart(name, title, quantity, across.axis([p.x for p in points]), y, tuple(points), step)


def _front(summary: Summary) -> set[tuple[str, str]]:
    return {(row.sha256, row.device) for row in summary.rows if on_front(summary, row)}


def _point(common: _Common, x: float, quantity: str, value: _Value) -> Point:
    row, scale = value.row, common.scale
    label = common.names[key(row)]
    front, kld = (row.sha256, row.device) in common.front, row.quality.kld if row.quality else None
    marks = [*(["reference"] if row.reference else []), *(["on the front"] if front else [])]
    facts = {
        "File": label,
        "Name": plain(row.name) if plain(row.name) != label else "",
        "Device": plain(row.device) if common.several_devices else "",
        "Size": f"{size(row.n_bytes, scale)} {scale[1]}, {row.bpw:.2f} bpw",
        "Mean KLD": f"{estimate(kld)} nats" if kld else "",
        quantity: value.told,
        "Remark": ", ".join(marks),
    }
    error = value.error if value.error is not None and math.isfinite(value.error) else None
    return Point(x, value.y, error, label, {k: v for k, v in facts.items() if v}, family(row), front, row.reference)
