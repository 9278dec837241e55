"""The methods in a terminal: tables that fit its width, and the claims line by line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from edgeq.records import MethodsTable
from edgeq.report.as_terminal import Fitted, dim
from edgeq.report.methods import claims, details, parts
from edgeq.report.rows import plain, sentence
from edgeq.report.tables import Part

_STYLES = {"supported": "green", "not supported": "red", "not measurable here": "yellow"}


def methods_terminal(table: MethodsTable) -> Group:
    """Title, tables, claims and notes for ``rich`` to print. Strings of the table are never read as markup."""
    drawn: list[RenderableType] = [Text(parts.title(table), style="bold"), Text(parts.lede(table))]
    for part in (parts.at_a_glance(table), parts.methods(table), parts.shipping(table)):
        drawn += _part(part) if part else []
    drawn += _claims(table)
    floor = details.floor(table)
    drawn += _part(floor) if floor else []
    for note in table.warnings:
        line = Text("\nNote: ", style="yellow").append(sentence(note.text), style="default")
        drawn.append(line.append(f" {plain(note.hint)}", style="dim") if note.hint else line)
    return Group(*drawn)


def _part(part: Part[Any]) -> Iterator[RenderableType]:
    yield Text(f"\n{part.title}", style="bold")
    yield from dim(part.about)
    yield Text("")
    yield Fitted(part.table)
    yield from dim(part.remarks)


def _claims(table: MethodsTable) -> Iterator[RenderableType]:
    if not table.claims:
        return
    yield Text("\nClaims", style="bold")
    yield from dim([claims.ABOUT, claims.tally(table.claims)])
    for text, sides in claims.by_text(table.claims).items():
        yield Text(f"\n{text}")
        for side in sides:
            line = Text(side.verdict, style=_STYLES[side.verdict])
            yield Padding(line.append(f"  {plain(side.aspect)}", style="default"), (0, 0, 0, 2))
            yield Padding(Text(claims.said(side), style="dim"), (0, 0, 0, 4))
