"""Which plots a summary gives: quality against size, and speed against size for each test."""

from __future__ import annotations

import math

from edgeq.records import Estimate, Row, Summary
from edgeq.report.figures import estimate, size, size_unit
from edgeq.report.plot import Chart, Point
from edgeq.report.rows import devices, family, labels, on_front, ordered, plain, speed_of, tests


def quality_chart(summary: Summary) -> Chart | None:
    """Mean KLD on a logarithmic axis, or PPL where no KLD was measured; ``None`` without either."""
    # The same file measured for quality on two devices is one point: quality belongs to the file.
    rows = list({row.sha256: row for row in reversed(ordered(summary)) if row.quality}.values())[::-1]
    klds = [(row, row.quality.kld) for row in rows if row.quality and row.quality.kld]
    ppls = [(row, row.quality.ppl) for row in rows if row.quality]
    if klds:
        y_title = "Mean KLD, nats (log scale, lower is better)"
        return _chart(summary, "quality", "Quality against file size", y_title, klds, "KLD", "nats", True)
    y_title = "Perplexity (lower is better)"
    return _chart(summary, "quality", "Quality against file size", y_title, ppls, "PPL", "", False)


def speed_charts(summary: Summary) -> list[Chart]:
    """One chart for each device and test, decode first: that is what a user waits for."""
    rows = ordered(summary)
    found = devices(rows)
    charts: list[Chart] = []
    for number, device in enumerate(found):
        for test in reversed(tests(rows)):
            named = [(row, speed_of(row, test)) for row in rows if row.device == device]
            speeds = [(row, speed.tps) for row, speed in named if speed]
            where = f" on {plain(device)}" if len(found) > 1 else ""
            what = "decode" if test.startswith("tg") else "prefill"
            title = f"{plain(test)} ({what}){where}"
            y_title = f"{title}, t/s"
            name = f"speed-{number}-{len(charts)}"
            title += " against file size"
            chart = _chart(summary, name, title, y_title, speeds, plain(test), "t/s", False)
            charts += [chart] if chart else []
    return charts


def _chart(
    summary: Summary,
    name: str,
    title: str,
    y_title: str,
    measured: list[tuple[Row, Estimate]],
    quantity: str,
    unit: str,
    log_y: bool,
) -> Chart | None:
    scale = size_unit(max((row.n_bytes for row in summary.rows), default=0))
    names = labels(list(summary.rows))
    points = []
    for row, value in measured:
        if not math.isfinite(value.value):
            continue
        detail = [
            f"{names[row.sha256, row.device]}: {quantity} {estimate(value)} {unit}".strip(),
            f"{size(row.n_bytes, scale)} {scale[1]}",
            f"{row.bpw:.2f} bpw",
        ]
        front = on_front(summary, row)
        detail += ["reference"] if row.reference else []
        detail += ["on the front"] if front else []
        points.append(
            Point(
                x=row.n_bytes / scale[0],
                y=value.value,
                error=value.se if value.se is not None and math.isfinite(value.se) else None,
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
