"""The methods as Markdown (GitHub's kind)."""

from __future__ import annotations

from typing import Any

from edgeq.records import MethodsTable
from edgeq.report.as_markdown import bullets, escaped, paragraphs, table_lines
from edgeq.report.methods import claims, details, parts
from edgeq.report.rows import plain, sentence
from edgeq.report.tables import Part


def methods_markdown(table: MethodsTable) -> str:
    """Title, one sentence, the tables, the claims and the notes. "-" is no figure."""
    lines = [f"# {escaped(parts.title(table))}", "", escaped(parts.lede(table))]
    shown: tuple[Part[Any] | None, ...] = (
        parts.at_a_glance(table),
        parts.methods(table),
        parts.shipping(table),
        claims.part(table),
        details.floor(table),
    )
    for part in shown:
        if part:
            lines += ["", f"## {part.title}", *paragraphs(part.about), "", *table_lines(part.table)]
            lines += ["", *bullets(part.remarks)] if part.remarks else []
    if table.warnings:
        said = [f"{sentence(note.text)} {plain(note.hint)}".strip() for note in table.warnings]
        lines += ["", "## Notes", "", *bullets(said)]
    return "\n".join(lines) + "\n"
