"""What a table is, before any form of the report draws it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from edgeq.report.figures import NOT_MEASURED, Cell
from edgeq.report.rows import plain

Item = TypeVar("Item")


@dataclass(frozen=True)
class Column(Generic[Item]):
    """One column. ``rank`` 0 is kept on the narrowest screen, the highest is dropped first.

    ``unit`` may take several lines. ``is_prose``: text of any length, which may be broken into lines.
    """

    heading: str
    unit: str
    cell: Callable[[Item], Cell]
    rank: int
    is_text: bool = False
    is_prose: bool = False

    @property
    def title(self) -> str:
        """Heading and unit on one line."""
        return f"{self.heading} {self.unit}".strip().replace("\n", " ")


@dataclass(frozen=True)
class Table(Generic[Item]):
    """Columns, what the lines are about, and the words that set a line apart (reference, front).

    Lines of the same ``group`` belong together.
    """

    columns: list[Column[Item]]
    items: list[Item]
    marks: Callable[[Item], list[str]] = lambda _: []
    group: Callable[[Item], object] = lambda _: None


@dataclass(frozen=True)
class Part(Generic[Item]):
    """A further part of the report: what its figures mean, the figures, and remarks on single ones."""

    title: str
    about: list[str]
    table: Table[Item]
    remarks: list[str]


def filled(columns: list[Column[Item]], items: list[Item]) -> list[Column[Item]]:
    """The columns in which something was measured."""
    return [column for column in columns if any(column.cell(item).text != NOT_MEASURED for item in items)]


def text_cell(text: str) -> Cell:
    """Free text on one line; nothing is "-"."""
    return Cell(plain(text) or NOT_MEASURED)
