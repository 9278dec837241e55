"""Which points nothing beats, on any number of axes and with their errors, and which of them are alike.

One point beats another where it is at least as good on every axis, and on at least one by more than 1.96 combined
standard errors: a two-sided test at 5 %, the errors taken as independent. That it has to be at least as good by value
as well is what keeps points from beating each other in a circle, so that there is always a front.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edgeq.records import Estimate
from edgeq.stats import F64

Z = 1.96


class Front(NamedTuple):
    """Positions of points. ``groups``: the members again, those that no axis tells apart together.

    ``unknown``: points that lack a value on an axis; they are no part of the comparison.
    """

    members: tuple[int, ...]
    groups: tuple[tuple[int, ...], ...]
    unknown: tuple[int, ...]


def front(points: Sequence[Sequence[Estimate | None]], lower: Sequence[bool]) -> Front:
    """The points that no other beats. ``lower``: for each axis, whether less is better.

    A value without a standard error has no interval: a point beats none with it and is not beaten. Exact values have
    the error 0. Groups are complete: no two of a group's members can be told apart.
    """
    known = [i for i, point in enumerate(points) if all(value is not None for value in point)]
    unknown = tuple(sorted(set(range(len(points))) - set(known)))
    if not known:
        return Front((), (), unknown)
    values, errors = _arrays([points[i] for i in known], lower)
    members = np.flatnonzero(unbeaten(values, errors))
    groups = [tuple(known[i] for i in group) for group in _groups(members, values, errors)]
    return Front(tuple(known[i] for i in members), tuple(groups), unknown)


def unbeaten(values: F64, errors: F64) -> npt.NDArray[np.bool_]:
    """Which of n points no other beats. Both arrays: n points times m axes, less is better; NaN is no error known."""
    kept = np.ones(len(values), np.bool_)
    for i in range(len(values)):
        gap = values[i] - values
        needed = Z * np.hypot(errors[i], errors)
        at_least = np.all((gap >= 0) & ~np.isnan(needed), axis=1)
        kept[i] = not np.any(at_least & np.any(gap > needed, axis=1))
    return kept


def apart(a: Estimate, b: Estimate) -> bool:
    """Whether two values differ by more than 1.96 combined standard errors; never without both errors."""
    if a.se is None or b.se is None:
        return False
    return abs(a.value - b.value) > Z * float(np.hypot(a.se, b.se))


def _arrays(points: Sequence[Sequence[Estimate | None]], lower: Sequence[bool]) -> tuple[F64, F64]:
    found = [[value for value in point if value is not None] for point in points]
    values = np.array([[e.value if low else -e.value for e, low in zip(p, lower, strict=True)] for p in found])
    errors = np.array([[np.nan if e.se is None else e.se for e in p] for p in found])
    shape = (len(points), len(lower))
    return values.reshape(shape), errors.reshape(shape)


def _groups(members: npt.NDArray[np.intp], values: F64, errors: F64) -> list[list[int]]:
    """Each member joins the first group that it can't be told apart from as a whole, best on the first axis first."""
    groups: list[list[int]] = []
    for i in sorted(members.tolist(), key=lambda i: (*values[i].tolist(), i)):
        for group in groups:
            gap = np.abs(values[group] - values[i])
            if not np.any(gap > Z * np.hypot(errors[group], errors[i])):
                group.append(i)
                break
        else:
            groups.append([i])
    return groups
