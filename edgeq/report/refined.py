"""Refined files beside those that they were made from."""

from __future__ import annotations

from edgeq.records import RefinedPair, Summary
from edgeq.report.figures import Cell, estimate, interval
from edgeq.report.rows import labels, plain
from edgeq.report.tables import Column, Part, Table, text_cell

MEANING = (
    "Refined files have the same types and as many bytes. Ratio: their KLD over that of the file as the encoder made "
    "it, on the same tokens, with a 95 % interval over chunks of text; below 1 is better."
)


def part(summary: Summary) -> Part[RefinedPair] | None:
    """All pairs, ``None`` without any."""
    if not summary.refined:
        return None
    names = {sha256: label for (sha256, *_), label in labels(list(summary.rows)).items()}

    def name(sha256: str) -> Cell:
        return text_cell(names.get(sha256) or f"sha256 {plain(sha256)[:12]}")

    columns = [
        Column[RefinedPair]("Refined", "", lambda p: name(p.refined_sha256), 0, True),
        Column[RefinedPair]("Over", "", lambda p: name(p.stock_sha256), 2, True),
        Column[RefinedPair]("Text", "", lambda p: text_cell(p.text), 1, True),
        Column[RefinedPair]("KLD", "ratio", lambda p: estimate(p.ratio), 0),
        Column[RefinedPair]("95 %", "", lambda p: interval(p.ci95), 0),
        Column[RefinedPair]("Verdict", "", lambda p: text_cell(p.verdict), 0, True),
    ]
    return Part("Refined", [MEANING], Table(columns, list(summary.refined)), [])
