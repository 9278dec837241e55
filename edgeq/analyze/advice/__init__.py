"""Which file to ship to a device and what is given up with it. Pure: rows and wishes in, advice out."""

from __future__ import annotations

from collections.abc import Sequence

from edgeq.analyze.advice.answers import answer
from edgeq.analyze.advice.groups import groups
from edgeq.records import Row
from edgeq.records.advice import Advice, Wanted

__all__ = ["recommend"]


def recommend(summary_rows: Sequence[Row], wanted: Wanted) -> Advice:
    """One answer for each device of these rows, or for the board that was asked for.

    What was not measured satisfies no limit and wins no goal. The order of the rows does not matter. Raises nothing:
    where no file will do, the answer has no pick and says which is nearest.
    """
    found, notes = groups(summary_rows, wanted)
    return Advice(wanted, tuple(answer(group, wanted) for group in found), notes)
