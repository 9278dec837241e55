"""One scatter plot as SVG: points with error bars, labels, and the front as a step line.

Colors come from the classes ``f-k f-iq f-legacy f-float f-other`` of the page's style sheet.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from edgeq.report.placing import Anchor, Box, Placed, Segment, place
from edgeq.report.scales import Log, Scale, Tick, linear, log, sizes

CHARACTER = 6.7  # width of one character of an 11 px monospaced font, in SVG units
LINE = 12.0
MARK = 5.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 12.0, 34.0, 44.0
LONGEST_LABEL = 24
TITLE_CHARACTER = 6.6  # mean width of one character of a 12.5 px sans-serif font, in SVG units


@dataclass(frozen=True)
class Point:
    """One model: position and standard error in the axes' units, and what to say about it."""

    x: float
    y: float
    error: float | None
    label: str
    detail: str
    family: str
    on_front: bool
    reference: bool = False


@dataclass(frozen=True)
class Chart:
    """What to draw. ``name`` is unique on the page; the front's line is drawn only where ``step`` is set."""

    name: str
    title: str
    description: str
    x_title: str
    y_title: str
    points: tuple[Point, ...]
    log_y: bool = False
    step: bool = False


@dataclass(frozen=True)
class Layout:
    """Where everything goes, in SVG units."""

    width: float
    height: float
    x: Scale
    y: Scale
    labels: tuple[Placed | None, ...]
    line: tuple[Segment, ...]

    @property
    def area(self) -> Box:
        """The rectangle between the axes."""
        return Box(LEFT, TOP, self.width - RIGHT, self.height - BOTTOM)


def shown_label(point: Point) -> str:
    """The label as drawn: long names are cut, the table has them whole."""
    return _cut(point.label, LONGEST_LABEL)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def layout(chart: Chart, width: float, height: float) -> Layout:
    """Scales and label places for ``chart`` on ``width`` by ``height`` SVG units."""
    points = chart.points
    x = sizes([point.x for point in points], LEFT, width - RIGHT)
    heights = [point.y for point in points]
    ends = [point.y + sign * (point.error or 0) for point in points for sign in (-1, 1)]
    bottom = height - BOTTOM
    y: Scale = log(heights, bottom, TOP) if chart.log_y else linear(ends, bottom, TOP)
    line = _steps(points, x, y) if chart.step else ()
    anchors = [
        Anchor(x.at(p.x), y.at(p.y), len(shown_label(p)) * CHARACTER, LINE, int(not (p.on_front or p.reference)))
        for p in points
    ]
    solid = [_extent(point, x, y) for point in points]
    # Above the axes there is room for one line of labels below the title.
    area = Box(LEFT + 2, TOP - 13, width - 2, bottom - 1)
    return Layout(width, height, x, y, tuple(place(anchors, area, solid, list(line))), line)


def _extent(point: Point, x: Scale, y: Scale) -> Box:
    """The marker with its error bar."""
    px, py = x.at(point.x), y.at(point.y)
    ends = [y.at(point.y + sign * (point.error or 0)) for sign in (-1, 1)]
    return Box(px - MARK, min(py - MARK, *ends), px + MARK, max(py + MARK, *ends))


def _steps(points: tuple[Point, ...], x: Scale, y: Scale) -> tuple[Segment, ...]:
    """The front as a staircase: a straight line would promise models between the points that do not exist."""
    best: list[Point] = []
    for point in sorted((p for p in points if p.on_front), key=lambda p: (p.x, p.y)):
        if not best or point.y < best[-1].y:
            best.append(point)
    found = []
    for one, two in pairwise(best):
        x1, y1, x2, y2 = x.at(one.x), y.at(one.y), x.at(two.x), y.at(two.y)
        found += [Segment(x1, y1, x2, y1), Segment(x2, y1, x2, y2)]
    return tuple(found)


def svg(chart: Chart, width: float, height: float, kind: str = "") -> str:
    """The chart as one ``<svg>`` element with a title and a description. ``kind`` is an extra class."""
    where = layout(chart, width, height)
    order = sorted(range(len(chart.points)), key=lambda i: chart.points[i].on_front)
    name = f"{chart.name}{f'-{kind}' if kind else ''}"
    return "\n".join(
        [
            f'<svg class="plot {kind}" viewBox="0 0 {width:.0f} {height:.0f}" role="img" '
            f'aria-labelledby="{name}-t {name}-d">',
            f'<title id="{name}-t">{escape(chart.title)}</title>',
            f'<desc id="{name}-d">{escape(chart.description)}</desc>',
            *_axes(chart, where),
            *(f'<path class="front" d="{_path(segment)}"/>' for segment in where.line),
            *(f'<path class="leader" d="{_path(p.leader)}"/>' for p in where.labels if p and p.leader),
            *(_point(chart.points[index], where, where.labels[index]) for index in order),
            "</svg>",
        ]
    )


def _path(line: Segment) -> str:
    return f"M{line.x1:.1f} {line.y1:.1f}L{line.x2:.1f} {line.y2:.1f}"


def _axes(chart: Chart, where: Layout) -> list[str]:
    area = where.area
    y_title = _cut(chart.y_title, int(where.width / TITLE_CHARACTER))
    parts = [f'<text class="axis" x="4" y="14">{escape(y_title)}</text>']
    about = max(5, round((area.right - area.left) / 95))
    for tick in where.y.ticks():
        parts.append(_line("grid" if tick.text else "minor", Segment(area.left, tick.at, area.right, tick.at)))
        if tick.text:
            parts.append(_tick(tick, area.left - 7, tick.at + 4, "end"))
    for tick in where.x.ticks(about):
        parts.append(_line("base", Segment(tick.at, area.bottom, tick.at, area.bottom + 4)))
        parts.append(_tick(tick, tick.at, area.bottom + 17, "middle"))
    parts.append(_line("base", Segment(area.left, area.bottom, area.right, area.bottom)))
    x_title = f"{chart.x_title} (log scale)" if isinstance(where.x, Log) else chart.x_title
    middle = (area.left + area.right) / 2
    parts.append(f'<text class="axis" x="{middle:.1f}" y="{where.height - 8:.1f}" text-anchor="middle">'
                 f"{escape(x_title)}</text>")  # fmt: skip
    return parts


def _line(kind: str, line: Segment) -> str:
    return f'<path class="{kind}" d="{_path(line)}"/>'


def _tick(tick: Tick, x: float, y: float, anchor: str) -> str:
    return f'<text class="tick" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(tick.text)}</text>'


def _point(point: Point, where: Layout, placed: Placed | None) -> str:
    x, y = where.x.at(point.x), where.y.at(point.y)
    kind = f"point f-{point.family}{' on' if point.on_front else ''}"
    parts = [f'<g class="{kind}" data-tip="{escape(point.detail)}">']
    parts.append(f"<title>{escape(point.detail)}</title>")
    if point.error and math.isfinite(point.error):
        high, low = where.y.at(point.y + point.error), where.y.at(point.y - point.error)
        caps = "".join(_path(Segment(x - 3, end, x + 3, end)) for end in (high, low))
        parts.append(f'<path class="bar" d="{_path(Segment(x, high, x, low))}{caps}"/>')
    parts.append(f'<path class="mark" d="{marker(point.family, x, y)}"/>')
    if placed:
        box = placed.box
        left, base = box.left + 1, box.bottom - 2.5
        parts.append(f'<text class="label" x="{left:.1f}" y="{base:.1f}">{escape(shown_label(point))}</text>')
    return "".join([*parts, "</g>"])


def marker(family: str, x: float, y: float, size: float = MARK) -> str:
    """A path around (x, y): its shape tells the family without any color."""
    if family == "k":
        return f"M{x - size:.1f} {y:.1f}a{size} {size} 0 1 0 {2 * size} 0a{size} {size} 0 1 0 {-2 * size} 0Z"
    corners = {"iq": (3, 90), "legacy": (4, 45), "float": (4, 90), "other": (5, 90)}[family]
    radius = size * (1.2 if family in ("iq", "float", "legacy") else 1.1)
    turns = [math.radians(corners[1] + 360 / corners[0] * i) for i in range(corners[0])]
    dots = [f"{x + radius * math.cos(turn):.1f} {y - radius * math.sin(turn):.1f}" for turn in turns]
    return f"M{'L'.join(dots)}Z"
