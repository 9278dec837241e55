"""A front in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from edgeq.records import Allocation, Front
from edgeq.report.as_terminal import Fitted, dim
from edgeq.report.budgets import parts
from edgeq.report.rows import plain, sentence


def budgets_terminal(front: Front) -> Group:
    """Title, table, what to take, notes."""
    drawn: list[RenderableType] = [Text(parts.title(front), style="bold"), Text(parts.lede(front)), Text("")]
    drawn.append(Fitted(parts.table(front)))
    drawn += dim(["* the file to take for a target", parts.ABOUT])
    drawn.append(Text(""))
    drawn += [Text(line) for line in parts.chosen(front)]
    for note in front.warnings:
        line = Text("\nNote: ", style="yellow").append(sentence(note.text), style="default")
        drawn.append(line.append(f" {plain(note.hint)}", style="dim") if note.hint else line)
    return Group(*drawn)


def allocations_terminal(allocations: Sequence[Allocation]) -> Group:
    """What a dry run gives: sizes, forecasts, types."""
    drawn: list[RenderableType] = [Fitted(parts.predicted(allocations))]
    for a in allocations:
        drawn += [Text(f"\n{a.recipe.name}", style="bold"), Fitted(parts.explained(a))]
    drawn += dim(["Predicted: what the probes add up to. Only files that were made and measured tell the truth."])
    return Group(*drawn)
