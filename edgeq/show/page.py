"""A page of facts and small tables, in 80 columns. Everything that is printed passes through `safe` here."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import msgspec

from edgeq.gguf_info import safe

WIDTH = 80
_LONGEST = 2000
_GAP = "  "


class Grid(msgspec.Struct, frozen=True):
    """A table: the first column is text, cut where it does not fit; the others are aligned to the right."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Page(msgspec.Struct, frozen=True):
    """What one file holds: ``kind`` in words, facts by name, tables, and the whole as ``data`` for programs."""

    kind: str
    title: str
    facts: tuple[tuple[str, str], ...]
    grids: tuple[Grid, ...] = ()
    data: object = None


def lines(page: Page) -> list[str]:
    """The page as lines of at most 80 characters."""
    title, room = safe(page.title, _LONGEST), WIDTH - len(page.kind) - 2
    # Of a long path, the end tells more.
    found = [f"{page.kind}: {title if len(title) <= room else f'…{title[1 - room :]}'}"]
    width = max((len(name) for name, _ in page.facts), default=0)
    for name, value in page.facts:
        found += _fact(name.ljust(width), safe(value or "-", _LONGEST))
    for grid in page.grids:
        if grid.rows:
            found += ["", *_grid(grid)]
    return found


def _fact(name: str, value: str) -> list[str]:
    start = f"  {name}  "
    wrapped = textwrap.wrap(value, WIDTH - len(start)) or ["-"]
    return [start + wrapped[0], *(" " * len(start) + line for line in wrapped[1:])]


def _grid(grid: Grid) -> list[str]:
    cells = [tuple(safe(cell, _LONGEST) for cell in row) for row in (grid.columns, *grid.rows)]
    others = [max(len(row[i]) for row in cells) for i in range(1, len(grid.columns))]
    last_is_text = len(grid.columns) == 2 and grid.columns[1] == ""
    if last_is_text:  # a list of names and values: the value is what may be cut
        first = min(max(len(row[0]) for row in cells), WIDTH // 2)
        rows = [f"  {_cut(a, first).ljust(first)}  {_cut(b, WIDTH - first - 4)}" for a, b in cells[1:]]
        return [grid.title, *(row.rstrip() for row in rows)]
    room = max(8, WIDTH - 2 - sum(others) - len(_GAP) * len(others))
    first = min(room, max(len(row[0]) for row in cells))
    return [grid.title, *(_line(row, first, others) for row in cells)]


def _line(row: Sequence[str], first: int, others: Sequence[int]) -> str:
    cells = [_cut(row[0], first).ljust(first), *(c.rjust(w) for c, w in zip(row[1:], others, strict=True))]
    return _cut(f"  {_GAP.join(cells)}".rstrip(), WIDTH)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def size(n_bytes: int) -> str:
    """Bytes as MiB, as in the report, and exactly."""
    return f"{n_bytes / 2**20:.4g} MiB ({n_bytes:,} bytes)"


def short(sha256: str | None) -> str:
    """Enough of a hash to recognize it."""
    return f"{sha256[:16]}..." if sha256 else "-"
