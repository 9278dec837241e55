"""The report in a terminal: tables that fit its width by dropping columns, never by breaking numbers."""

from __future__ import annotations

from typing import Generic

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table as RichTable
from rich.text import Text

from edgeq.records import Summary
from edgeq.report.columns import headline
from edgeq.report.rows import notes, on_front, ordered, plain
from edgeq.report.tables import Column, Item, Table
from edgeq.report.wording import CUT, FRONT, lede, parts, remarks

GAP = 2
# Names are free text, so one long name must not push the measurements off the screen.
WIDEST_TEXT = 24
NARROWEST_TEXT = 6
FRONT_MARK = "*"


def terminal(summary: Summary) -> Group:
    """Title, tables and notes for ``rich`` to print. Strings of the summary are never read as markup."""
    drawn: list[RenderableType] = [Text(plain(summary.title), style="bold"), Text(lede(summary)), Text("")]
    drawn.append(Fitted(headline(summary)))
    if any(on_front(summary, row) for row in ordered(summary)):
        drawn.append(Text(f"{FRONT_MARK} {FRONT}", style="dim"))
    drawn += dim(remarks(summary))
    for part in parts(summary):
        drawn.append(Text(f"\n{part.title}", style="bold"))
        drawn += [*dim(part.about), Text(""), Fitted(part.table)] if part.table.items else []
        drawn += dim(part.remarks)
    for text, hint in notes(summary):
        line = Text("\nNote: ", style="yellow").append(text, style="default")
        drawn.append(line.append(f" {hint}", style="dim") if hint else line)
    return Group(*drawn)


def dim(sentences: list[str]) -> list[Text]:
    """Remarks, each on lines of its own."""
    return [Text(text, style="dim") for text in sentences]


class Fitted(Generic[Item]):
    """A table, laid out once the console's width is known."""

    def __init__(self, table: Table[Item]) -> None:
        self.table = table
        self.cells = {column: [_text(table, column, item) for item in table.items] for column in table.columns}

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        shown, widest = self.fitting(options.max_width)
        drawn = RichTable(box=box.SIMPLE_HEAD, padding=(0, GAP - 1, 0, 0), pad_edge=False, show_edge=False)
        for column in shown:
            drawn.add_column(
                Text(f"{column.heading}\n{column.unit}".rstrip("\n")),
                justify="left" if column.is_text else "right",
                no_wrap=True,
                overflow="ellipsis",
                max_width=widest if column.is_text else None,
            )
        groups = [self.table.group(item) for item in self.table.items]
        for index, item in enumerate(self.table.items):
            cells = (Text(self.cells[column][index]) for column in shown)
            last = len(set(groups)) < len(groups) and groups[index : index + 2] != 2 * groups[index : index + 1]
            style = "bold" if "reference" in self.table.marks(item) else None
            drawn.add_row(*cells, style=style, end_section=last)
        yield drawn
        cut = [column.title for column in self.table.columns if column not in shown]
        if cut:
            yield Text(f"{CUT} {', '.join(cut)}.", style="dim")

    def fitting(self, width: int) -> tuple[list[Column[Item]], int]:
        """The columns that fit into ``width`` characters, the least important dropped first, and the widest text.

        Without those of rank 0 a line would not say what it is about; there text is cut instead.
        """
        shown, widest = list(self.table.columns), WIDEST_TEXT
        while sum(self.width(column, widest) + GAP for column in shown) > width:
            if droppable := [column for column in shown if column.rank > 0]:
                shown.remove(max(droppable, key=lambda column: column.rank))
            elif widest > NARROWEST_TEXT:
                widest -= 1
            else:
                break
        return shown, widest

    def width(self, column: Column[Item], widest: int) -> int:
        """Characters that ``column`` needs to be shown whole, or ``widest`` where it is text."""
        texts = [column.heading, *column.unit.split("\n"), *self.cells[column]]
        needed = max(cell_len(text) for text in texts)
        return min(needed, widest) if column.is_text else needed


def _text(table: Table[Item], column: Column[Item], item: Item) -> str:
    marked = column is table.columns[0] and "front" in table.marks(item)
    return f"{column.cell(item)} {FRONT_MARK}" if marked else str(column.cell(item))
