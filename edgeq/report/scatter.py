"""A chart as a Vega-Lite specification: error bars, the front as steps, marks, and their names."""

from __future__ import annotations

from itertools import pairwise

from edgeq.report.axes import Spec
from edgeq.report.charts import Chart, Point
from edgeq.report.naming import Side, places, shown

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
WIDTH, HEIGHT = 720, 420
# The shape tells the family without any color.
SHAPES = ["circle", "triangle-up", "square", "diamond", "cross"]
# What axes, title and legend take of the width and height of a file.
AXES = (60, 130)
# What is said of a mark under the pointer, and to a screen reader.
TOLD: Spec = {
    "tooltip": {"expr": "datum.facts"},
    "description": {"expr": "join([datum.facts.File, datum.said], ': ')"},
}


def scatter(chart: Chart, width: int = WIDTH, height: int = HEIGHT) -> Spec:
    """The whole plot; everything that it shows is in it."""
    sides = places(chart, width - AXES[0], height - AXES[1])
    values = [_value(chart, point, side) for point, side in zip(chart.points, sides, strict=True)]
    position = {"x": chart.x.encoding("x"), "y": chart.y.encoding("y")}
    # Vega trips over a layer of nothing when it places names around it.
    bars = [_bars(chart)] if any(point.error for point in chart.points) else []
    steps = _steps(chart) if chart.step else []
    layers = [*bars, *([_front(steps)] if steps else []), _marks(chart), _names()]
    return framed(chart.title, chart.described, width, height) | {
        "data": {"values": values},
        "encoding": position,
        "layer": layers,
    }


def framed(title: str, description: str, width: int, height: int) -> Spec:
    """What all plots have in common, but for their look. ``description`` is what a screen reader says."""
    return {
        "$schema": SCHEMA,
        "title": title,
        "description": description,
        "width": width,
        "height": height,
        "autosize": {"type": "fit", "contains": "padding"},
    }


def _value(chart: Chart, point: Point, side: Side | None) -> Spec:
    error = point.error or 0.0
    found: Spec = {
        "x": chart.x.drawn(point.x),
        "y": chart.y.drawn(point.y),
        "label": shown(point),
        "family": chart.families[point.family],
        "front": point.on_front,
        "rank": int(point.on_front or point.reference),
        "facts": point.facts,
        "said": point.facts[chart.quantity],
    }
    if error:
        found |= {"low": chart.y.drawn(point.y - error), "high": chart.y.drawn(point.y + error)}
    return found | (side._asdict() if side else {})


def _family(chart: Chart) -> Spec:
    titles = list(chart.families.values())
    present = {chart.families[point.family] for point in chart.points}
    legend = {"values": [title for title in titles if title in present]}
    return {"field": "family", "type": "nominal", "scale": {"domain": titles}, "legend": legend}


def _bars(chart: Chart) -> Spec:
    return {
        "name": "bars",
        "transform": [{"filter": "isValid(datum.low)"}],
        "mark": {"type": "rule", "strokeWidth": 1.3, "aria": False},
        "encoding": {"y": {**chart.y.encoding("low")}, "y2": {"field": "high"}, "color": _family(chart)},
    }


def _steps(chart: Chart) -> list[Spec]:
    """The front as stairs: a straight line would promise models between the points that do not exist."""
    best: list[Spec] = []
    for point in sorted((p for p in chart.points if p.on_front), key=lambda p: (p.x, p.y)):
        if not best or point.y < best[-1]["true"]:
            best.append({"x": chart.x.drawn(point.x), "y": chart.y.drawn(point.y), "true": point.y})
    found: list[Spec] = []
    for one, two in pairwise(best):
        found.append({"x": one["x"], "y": one["y"], "x2": two["x"], "y2": one["y"]})
        found.append({"x": two["x"], "y": one["y"], "x2": two["x"], "y2": two["y"]})
    return found


def _front(steps: list[Spec]) -> Spec:
    return {
        "name": "front",
        "data": {"values": steps},
        "mark": {"type": "rule", "style": "front", "aria": False},
        "encoding": {"x2": {"field": "x2"}, "y2": {"field": "y2"}},
    }


def _marks(chart: Chart) -> Spec:
    family = _family(chart)
    shape = {**family, "scale": {**family["scale"], "range": SHAPES}}
    return {
        "name": "points",
        "mark": {"type": "point", "filled": False, "size": 85, "strokeWidth": 1.6, "opacity": 1, **TOLD},
        "encoding": {
            "color": family,
            "shape": shape,
            "fill": {"condition": {"test": "datum.front", **family}, "value": "transparent"},
        },
    }


def _names() -> Spec:
    place = {name: {"expr": f"datum.{name}"} for name in ("align", "dx", "dy")}
    return {
        "name": "names",
        "transform": [{"filter": "isValid(datum.align)"}],
        "mark": {"type": "text", "baseline": "middle", "aria": False, **place},
        "encoding": {"text": {"field": "label", "type": "nominal"}},
    }
