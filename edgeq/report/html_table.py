"""A table as HTML, which the page's script can sort."""

from __future__ import annotations

from html import escape

from edgeq.report.figures import Cell
from edgeq.report.markup import safe
from edgeq.report.tables import Column, Item, Table


def html_table(table: Table[Item], caption: str) -> str:
    """The table in a box that scrolls sideways where it is too wide."""
    head = "".join(_head(column) for column in table.columns)
    drawn = [[column.cell(item) for column in table.columns] for item in table.items]
    widths = [max((len(cells[index].error) for cells in drawn), default=0) for index in range(len(table.columns))]
    lines = []
    for item, (first, *others) in zip(table.items, drawn, strict=True):
        words = table.marks(item)
        tags = "".join(f' <span class="tag {word}">{word}</span>' for word in words)
        name = f'<th scope="row" class="name">{safe(first.text)}{tags}</th>'
        rest = zip(table.columns[1:], others, widths[1:], strict=True)
        cells = "".join(_cell(column, cell, width) for column, cell, width in rest)
        lines.append(f'<tr class="{" ".join(words)}">{name}{cells}</tr>')
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(caption.split(".")[0])}">\n'
        f'<table class="sortable">\n<caption><span>{escape(caption)}</span></caption>\n'
        f"<thead><tr>{head}</tr></thead>\n"
        "<tbody>\n" + "\n".join(lines) + "\n</tbody>\n</table>\n</div>"
    )


def _head(column: Column[Item]) -> str:
    kind = " class=text" if column.is_text else ""
    units = "".join(f" <span class=unit>{safe(line)}</span>" for line in column.unit.split("\n") if line)
    return f'<th scope="col"{kind}>{safe(column.heading)}{units}</th>'


def _cell(column: Column[Item], cell: Cell, width: int) -> str:
    if column.is_text:
        return f'<td class="text{" prose" if column.is_prose else ""}">{safe(cell.text)}</td>'
    number = "" if cell.number is None else f' data-n="{cell.number!r}"'
    error = f'<span class="se"> ±{escape(cell.error)}</span>' if cell.error else ""
    word = f' <span class="word">{safe(cell.word)}</span>' if cell.word else ""
    kind = f' class="e{min(width, 12)}"' if error else ""
    return f"<td{number}{kind}>{escape(cell.text)}{error}{word}</td>"
