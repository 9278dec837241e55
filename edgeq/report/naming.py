"""Where names stand beside the points of a plot, so that none covers another or a mark.

For plots in files, whose size is known. On the page Vega places them anew for each width.
"""

from __future__ import annotations

from typing import NamedTuple

from edgeq.report.charts import Chart, Point

CHARACTER = 6.2  # mean width of one character of an 11 px sans-serif font, in pixels
HALF = 6.5
MARK = 6.0
LONGEST = 24
# A plot with more names than this is a wall of text.
MOST = 40


class Side(NamedTuple):
    """A place beside a mark: offset of the text in pixels, and which of its ends is there."""

    dx: int
    dy: int
    align: str


# First where a front that falls from left to right leaves room.
SIDES = (
    Side(7, -9, "left"),
    Side(-9, 0, "right"),
    Side(9, 0, "left"),
    Side(0, -12, "center"),
    Side(0, 13, "center"),
    Side(-7, 10, "right"),
)
Box = tuple[float, float, float, float]


def shown(point: Point) -> str:
    """The name as drawn: long ones are cut, the table has them whole."""
    return point.label if len(point.label) <= LONGEST else f"{point.label[: LONGEST - 1]}…"


def places(chart: Chart, width: float, height: float) -> list[Side | None]:
    """A side for each point's name, ``None`` where all are taken. The front and the reference choose first."""
    at = [(chart.x.share(p.x) * width, (1 - chart.y.share(p.y)) * height) for p in chart.points]
    taken: list[Box] = [(x - MARK, y - MARK, x + MARK, y + MARK) for x, y in at]
    found: list[Side | None] = [None] * len(at)
    order = sorted(range(len(at)), key=lambda i: not (chart.points[i].on_front or chart.points[i].reference))
    for index in order[:MOST]:
        for side in SIDES:
            box = _box(shown(chart.points[index]), at[index], side)
            inside = box[0] > 0 and box[2] < width and box[1] > 0 and box[3] < height
            if inside and not any(_overlap(box, other) for other in taken):
                found[index] = side
                taken.append(box)
                break
    return found


def _box(text: str, at: tuple[float, float], side: Side) -> Box:
    wide = len(text) * CHARACTER
    left = at[0] + side.dx - {"left": 0.0, "center": wide / 2, "right": wide}[side.align]
    return left, at[1] + side.dy - HALF, left + wide, at[1] + side.dy + HALF


def _overlap(one: Box, two: Box) -> bool:
    return one[0] < two[2] and two[0] < one[2] and one[1] < two[3] and two[1] < one[3]
