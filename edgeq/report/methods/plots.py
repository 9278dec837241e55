"""Divergence against bits per weight, one plot for each text."""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec

from edgeq.records import MethodRow, MethodsTable
from edgeq.report import axes
from edgeq.report.charts import KLD, Chart, Point
from edgeq.report.figures import estimate
from edgeq.report.methods import texts
from edgeq.report.methods.columns import method_of
from edgeq.report.rows import plain
from edgeq.report.scatter import scatter

# What a method decides: more colors than these can't be told apart.
FAMILIES = {
    "grid": "Symmetric or not",
    "scales": "Granularity of scales",
    "activations": "Activations",
    "data": "Learned from data",
    "extreme": "Extreme",
}
_FAMILY = {
    "symmetric": "grid",
    "asymmetric": "grid",
    "per_tensor": "scales",
    "per_channel": "scales",
    "group_wise": "scales",
    "static": "activations",
    "dynamic": "activations",
    "weight_only": "activations",
    "qat": "data",
    "activation_aware": "data",
    "low_rank": "data",
}


def charts(table: MethodsTable) -> list[Chart]:
    """Arms that are the same file, run the same way, are one point."""
    found = (_chart(table, i, name, label) for i, (name, label) in enumerate(texts.labels(table).items(), 1))
    return [chart for chart in found if chart]


def encoded(drawn: list[Chart]) -> Mapping[str, bytes]:
    """Each plot by its name, as JSON, without its look."""
    return {chart.name: msgspec.json.encode(scatter(chart)) for chart in drawn}


def _chart(table: MethodsTable, index: int, name: str, label: str) -> Chart | None:
    same: dict[tuple[str, str | None], list[MethodRow]] = {}
    for row in table.rows:
        same.setdefault((row.sha256, row.arm.activations), []).append(row)
    points = [point for rows in same.values() if (point := _point(rows, name))]
    if not points:
        return None
    x = axes.linear([p.x for p in points], "Bits per weight, each scale counted once", from_zero=False)
    y = axes.log([p.y for p in points], KLD)
    title = f"KLD against bits per weight, {label} text ({plain(name)})"
    return Chart(f"methods-{index}", title, "Mean KLD", x, y, tuple(points), families=FAMILIES)


def _point(rows: list[MethodRow], name: str) -> Point | None:
    first = rows[0]
    quality = texts.quality_of(first, name)
    kld, bpw = quality.kld if quality else None, first.weight_bpw
    if kld is None or bpw is None or not (math.isfinite(kld.value) and math.isfinite(bpw)):
        return None
    names = list(dict.fromkeys(plain(row.arm.name) for row in rows))
    facts = {
        "File": ", ".join(names),
        "Method": ", ".join(dict.fromkeys(plain(method_of(row)) for row in rows)),
        "Bits per weight": f"{bpw:.2f}",
        "Mean KLD": f"{estimate(kld)} nats",
    }
    error = kld.se if kld.se is not None and math.isfinite(kld.se) else None
    return Point(bpw, kld.value, error, names[0], facts, _FAMILY.get(first.arm.method, "extreme"), False)
