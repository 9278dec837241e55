"""Pairs of files that were measured in turns, which tells smaller differences than two separate measurements."""

from __future__ import annotations

from edgeq.records import Comparison, Summary
from edgeq.report.figures import Cell, count, estimate, interval
from edgeq.report.rows import labels, plain, prefill_first
from edgeq.report.tables import Column, Part, Table, text_cell

MEANING = (
    "Pairs of files measured in turns: the file's figure over the other's. What the machine did slowly and the "
    "meter's own error cancel. Where the 95 % interval holds 1, no difference was found."
)


def part(summary: Summary) -> Part[Comparison] | None:
    """All comparisons, ``None`` without any."""
    if not summary.comparisons:
        return None
    names = {sha256: label for (sha256, *_), label in labels(list(summary.rows)).items()}

    def name(sha256: str) -> str:
        return names.get(sha256) or f"sha256 {plain(sha256)[:12]}"

    columns = [
        Column[Comparison]("File", "", lambda c: text_cell(name(c.second_sha256)), 0, True),
        Column[Comparison]("Over", "", lambda c: text_cell(name(c.first_sha256)), 0, True),
        Column[Comparison]("Test", "", lambda c: text_cell(c.test), 0, True),
        Column[Comparison]("Quantity", "", lambda c: text_cell(c.quantity), 0, True),
        Column[Comparison]("Ratio", "", lambda c: estimate(c.ratio), 0),
        Column[Comparison]("95 %", "", lambda c: interval(c.ci95), 1),
        Column[Comparison]("Blocks", "", lambda c: Cell(count(c.n_blocks), "", c.n_blocks), 2),
    ]
    order = prefill_first(c.test for c in summary.comparisons)
    items = sorted(summary.comparisons, key=lambda c: (c.quantity != "t/s", order.index(c.test)))
    return Part("Compared in turns", [MEANING], Table(columns, items), [])
