"""The report in a terminal: a table that fits its width by dropping columns, never by breaking numbers."""

from __future__ import annotations

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.table import Table
from rich.text import Text

from edgeq.records import Row, Summary
from edgeq.report.columns import Column, columns
from edgeq.report.rows import notes, on_front, ordered, plain
from edgeq.report.wording import CUT, FRONT, lede

GAP = 2
# Names are free text, so one long name must not push the measurements off the screen.
WIDEST_TEXT = 24
FRONT_MARK = "*"


def terminal(summary: Summary) -> Group:
    """Title, table and notes for ``rich`` to print. Strings of the summary are never read as markup."""
    parts: list[Text | _Fitted] = [Text(plain(summary.title), style="bold"), Text(lede(summary)), Text("")]
    parts.append(_Fitted(summary))
    if any(on_front(summary, row) for row in summary.rows):
        parts.append(Text(f"{FRONT_MARK} {FRONT}", style="dim"))
    for text, hint in notes(summary):
        line = Text("\nNote: ", style="yellow").append(text, style="default")
        parts.append(line.append(f" {hint}", style="dim") if hint else line)
    return Group(*parts)


class _Fitted:
    """The table, laid out once the console's width is known."""

    def __init__(self, summary: Summary) -> None:
        self.rows = ordered(summary)
        self.columns = columns(summary)
        self.cells = {column: [_text(summary, column, row) for row in self.rows] for column in self.columns}

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        shown = self.fitting(options.max_width)
        table = Table(box=box.SIMPLE_HEAD, padding=(0, GAP - 1, 0, 0), pad_edge=False, show_edge=False)
        for column in shown:
            heading = Text(f"{column.heading}\n{column.unit}".rstrip("\n"))
            table.add_column(
                heading,
                justify="left" if column.is_text else "right",
                no_wrap=True,
                overflow="ellipsis",
                max_width=WIDEST_TEXT if column.is_text else None,
            )
        for index, row in enumerate(self.rows):
            cells = (Text(self.cells[column][index]) for column in shown)
            table.add_row(*cells, style="bold" if row.reference else None)
        yield table
        cut = [column.title for column in self.columns if column not in shown]
        if cut:
            yield Text(f"{CUT} {', '.join(cut)}.", style="dim")

    def fitting(self, width: int) -> list[Column]:
        """The columns that fit into ``width`` characters, the least important dropped first."""
        shown = list(self.columns)
        while len(shown) > 2 and sum(self.width(column) + GAP for column in shown) > width:
            shown.remove(max(shown, key=lambda column: column.rank))
        return shown

    def width(self, column: Column) -> int:
        """Characters that ``column`` needs to be shown whole."""
        texts = [column.heading, column.unit, *self.cells[column]]
        widest = max(cell_len(text) for text in texts)
        return min(widest, WIDEST_TEXT) if column.is_text else widest


def _text(summary: Summary, column: Column, row: Row) -> str:
    marked = column.heading == "File type" and on_front(summary, row)
    return f"{column.cell(row)} {FRONT_MARK}" if marked else str(column.cell(row))
