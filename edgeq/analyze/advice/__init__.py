"""Which file to ship to a device and what is given up with it. Pure: rows and wishes in, advice out."""

from __future__ import annotations

from collections.abc import Sequence

from edgeq.analyze.advice.answers import answer
from edgeq.analyze.advice.groups import groups
from edgeq.records import Row, Summary
from edgeq.records.advice import Advice, Wanted

__all__ = ["of_summary", "recommend"]


def recommend(summary_rows: Sequence[Row], wanted: Wanted) -> Advice:
    """One answer for each device of these rows, or for the board that was asked for.

    What was not measured satisfies no limit and wins no goal. The order of the rows does not matter. Raises nothing:
    where no file will do, the answer has no pick and says which is nearest.
    """
    found, notes = groups(summary_rows, wanted)
    return Advice(wanted, tuple(answer(group, wanted) for group in found), notes)


def of_summary(summary: Summary) -> Advice | None:
    """What to ship without any wish, judged by the first decode test; None where nothing was decoded and scored."""
    tests = (s.test for row in summary.rows for s in row.speeds if s.test.startswith("tg"))
    test = next(tests, None)
    scored = any(row.quality and row.quality.kld for row in summary.rows)
    return recommend(summary.rows, Wanted(test=test, tariff=summary.tariff)) if test and scored else None
