"""Which plots a summary gives: quality, speed and energy against size."""

from __future__ import annotations

import math
from typing import NamedTuple

from edgeq.records import Estimate, Row, Summary
from edgeq.report import energy
from edgeq.report.columns import rate, unit_of_sizes
from edgeq.report.figures import Cell, approximate, estimate, size
from edgeq.report.plot import Chart, Point
from edgeq.report.rows import devices, family, labels, on_front, ordered, plain, speed_of, tests


class _Value(NamedTuple):
    """One model's value on the vertical axis, and how it is told."""

    row: Row
    y: float
    error: float | None
    told: str


def _value(row: Row, measured: Estimate, quantity: str, unit: str) -> _Value:
    return _Value(row, measured.value, measured.se, _told(quantity, estimate(measured), unit))


def _told(quantity: str, cell: Cell, unit: str) -> str:
    return f"{quantity} {cell.figure} {unit} {cell.word}".strip()


def quality_chart(summary: Summary) -> Chart | None:
    """Mean KLD on a logarithmic axis, or PPL where no KLD was measured; ``None`` without either."""
    # The same file measured for quality on two devices is one point: quality belongs to the file.
    rows = list({row.sha256: row for row in reversed(ordered(summary)) if row.quality}.values())[::-1]
    klds = [_value(row, row.quality.kld, "KLD", "nats") for row in rows if row.quality and row.quality.kld]
    ppls = [_value(row, row.quality.ppl, "PPL", "") for row in rows if row.quality]
    if klds:
        y_title = "Mean KLD, nats (log scale, lower is better)"
        return _chart(summary, "quality", "Quality against file size", y_title, klds, log_y=True)
    return _chart(summary, "quality", "Quality against file size", "Perplexity (lower is better)", ppls)


def speed_charts(summary: Summary) -> list[Chart]:
    """One chart for each device and test, decode first: that is what a user waits for."""
    rows = ordered(summary)
    charts: list[Chart] = []
    for number, device in enumerate(devices(rows)):
        for test in reversed(tests(rows)):
            values = []
            for row in rows:
                speed = speed_of(row, test)
                if speed and row.device == device:
                    error = None if speed.state else speed.tps.se
                    values.append(_Value(row, speed.tps.value, error, _told(plain(test), rate(speed), "t/s")))
            what = "decode" if test.startswith("tg") else "prefill"
            quantity, where = f"{plain(test)} ({what})", _where(summary, device)
            name, title = f"speed-{number}-{len(charts)}", f"{quantity}{where} against file size"
            chart = _chart(summary, name, title, f"{quantity}, t/s{where}", values)
            charts += [chart] if chart else []
    return charts


def energy_charts(summary: Summary) -> list[Chart]:
    """One chart for each device, test and headline scope, decode first; estimates never beside measurements."""
    charts: list[Chart] = []
    factor, unit = energy.unit(summary)
    for device in devices(ordered(summary)):
        where = _where(summary, device)
        for test in reversed(energy.tests(summary)):
            panels: dict[tuple[str, bool], list[_Value]] = {}
            for row, found in energy.headlines(summary, test):
                gross = found.gross_j_per_token
                if gross and row.device == device:
                    told = _told(plain(test), approximate(estimate(gross, factor), found.estimated), unit)
                    error = None if gross.se is None else gross.se * factor
                    value = _Value(row, gross.value * factor, error, f"{told} ({plain(found.scope)})")
                    panels.setdefault((found.scope, found.estimated), []).append(value)
            for (scope, estimated), values in panels.items():
                quantity = f"{plain(test)} energy ({plain(scope)}{', estimated' if estimated else ''})"
                name, title = f"energy-{len(charts)}", f"{quantity}{where} against file size"
                chart = _chart(summary, name, title, f"{quantity}, {unit}{where}", values)
                charts += [chart] if chart else []
    return charts


def _where(summary: Summary, device: str) -> str:
    return f" on {plain(device)}" if len(devices(list(summary.rows))) > 1 else ""


def _chart(
    summary: Summary, name: str, title: str, y_title: str, values: list[_Value], log_y: bool = False
) -> Chart | None:
    scale = unit_of_sizes(summary)
    names = labels(list(summary.rows))
    points = []
    for row, y, error, told in values:
        if not math.isfinite(y):
            continue
        detail = [
            f"{names[row.sha256, row.device]}: {told}",
            f"{size(row.n_bytes, scale)} {scale[1]}",
            f"{row.bpw:.2f} bpw",
        ]
        front = on_front(summary, row)
        detail += ["reference"] if row.reference else []
        detail += ["on the front"] if front else []
        points.append(
            Point(
                x=row.n_bytes / scale[0],
                y=y,
                error=error if error is not None and math.isfinite(error) else None,
                label=names[row.sha256, row.device],
                detail=", ".join(detail),
                family=family(row),
                on_front=front,
                reference=row.reference,
            )
        )
    if not points:
        return None
    return Chart(
        name=name,
        title=title,
        description="; ".join(point.detail for point in points) + ".",
        x_title=f"File size, {scale[1]}",
        y_title=y_title,
        points=tuple(points),
        log_y=log_y,
        step=name == "quality",
    )
