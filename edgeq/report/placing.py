"""Where the labels of a plot go, so that none covers another, a marker or an error bar."""

from __future__ import annotations

import math
from dataclasses import dataclass

DISTANCES = (8.0, 11.0, 16.0, 24.0, 34.0, 46.0, 60.0, 76.0)
# From this distance on, a line says which point a label belongs to.
LEADER_FROM = 14.0
DEGREES = (0, 180, 90, 270, 45, 315, 135, 225, 22, 338, 158, 202, 67, 293, 113, 247)
DIRECTIONS = [math.radians(angle) for angle in DEGREES]
AIR = 1.5


@dataclass(frozen=True)
class Box:
    """A rectangle in SVG units: y grows downward."""

    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: Box) -> bool:
        """Whether the two have an area in common."""
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom

    def holds(self, other: Box) -> bool:
        """Whether ``other`` lies inside."""
        across = self.left <= other.left and other.right <= self.right
        return across and self.top <= other.top and other.bottom <= self.bottom

    def grown(self, by: float) -> Box:
        """The same rectangle with ``by`` SVG units added on each side."""
        return Box(self.left - by, self.top - by, self.right + by, self.bottom + by)

    def nearest(self, x: float, y: float) -> tuple[float, float]:
        """The point of the rectangle closest to (x, y)."""
        return min(max(x, self.left), self.right), min(max(y, self.top), self.bottom)


@dataclass(frozen=True)
class Segment:
    """A straight line in SVG units."""

    x1: float
    y1: float
    x2: float
    y2: float

    def crosses(self, box: Box) -> bool:
        """Whether any part of the line lies inside ``box`` (Liang and Barsky's clipping)."""
        near, far = 0.0, 1.0
        dx, dy = self.x2 - self.x1, self.y2 - self.y1
        for delta, room in (
            (-dx, self.x1 - box.left),
            (dx, box.right - self.x1),
            (-dy, self.y1 - box.top),
            (dy, box.bottom - self.y1),
        ):
            if delta == 0:
                if room <= 0:
                    return False
            elif delta < 0:
                near = max(near, room / delta)
            else:
                far = min(far, room / delta)
        return near < far

    def meets(self, other: Segment) -> bool:
        """Whether the two lines cross between their ends."""
        return _turn(self, other.x1, other.y1) != _turn(self, other.x2, other.y2) and _turn(
            other, self.x1, self.y1
        ) != _turn(other, self.x2, self.y2)


def _turn(line: Segment, x: float, y: float) -> bool:
    return (line.x2 - line.x1) * (y - line.y1) > (line.y2 - line.y1) * (x - line.x1)


@dataclass(frozen=True)
class Anchor:
    """A point at (x, y) that wants a label of this size in SVG units. Lower ``rank`` is placed first."""

    x: float
    y: float
    width: float
    height: float
    rank: int = 0


@dataclass(frozen=True)
class Placed:
    """Where a label went, and the line that ties it to its point where it is far."""

    box: Box
    leader: Segment | None


def place(anchors: list[Anchor], area: Box, solid: list[Box], lines: list[Segment]) -> list[Placed | None]:
    """A place for each anchor's label inside ``area``, ``None`` where there is none.

    Labels never cover ``solid`` boxes (markers, error bars) or each other, and avoid ``lines`` if they can.
    """
    found: dict[int, Placed] = {}
    for index in sorted(range(len(anchors)), key=lambda i: (anchors[i].rank, anchors[i].x, anchors[i].y)):
        best: tuple[float, Placed] | None = None
        for candidate, cost in _candidates(anchors[index]):
            if best and cost >= best[0]:
                break
            if _fits(candidate, anchors[index], area, solid, list(found.values())):
                cost += 18 * sum(line.crosses(candidate.box) for line in lines)
                best = min(best or (cost, candidate), (cost, candidate), key=lambda pair: pair[0])
        if best:
            found[index] = best[1]
    return [found.get(index) for index in range(len(anchors))]


def _candidates(anchor: Anchor) -> list[tuple[Placed, float]]:
    found = []
    for distance in DISTANCES:
        for turn, angle in enumerate(DIRECTIONS):
            dx, dy = math.cos(angle), math.sin(angle)
            # The nearest edge of the label, not its center, is at the distance.
            x = anchor.x + dx * distance + anchor.width / 2 * max(-1.0, min(1.0, dx * 2.7))
            y = anchor.y + dy * distance + anchor.height / 2 * dy
            half, tall = anchor.width / 2, anchor.height / 2
            box = Box(x - half, y - tall, x + half, y + tall)
            far = distance >= LEADER_FROM
            leader = Segment(anchor.x, anchor.y, *box.nearest(anchor.x, anchor.y)) if far else None
            found.append((Placed(box, leader), distance + turn * 0.2))
    return found


def _fits(candidate: Placed, anchor: Anchor, area: Box, solid: list[Box], placed: list[Placed]) -> bool:
    room = candidate.box.grown(AIR)
    if not area.holds(candidate.box) or any(room.overlaps(box) for box in solid):
        return False
    leader = candidate.leader
    for other in placed:
        if room.overlaps(other.box) or (other.leader and other.leader.crosses(candidate.box)):
            return False
        if leader and (leader.crosses(other.box) or (other.leader and leader.meets(other.leader))):
            return False
    own = Box(anchor.x, anchor.y, anchor.x, anchor.y)
    return not leader or not any(leader.crosses(box) for box in solid if not box.grown(0.1).holds(own))
