"""The table of weight types in a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from edgeq.records import TypeSpeed, TypeSpeeds
from edgeq.report.as_terminal import Fitted, dim
from edgeq.report.figures import Cell, estimate, number
from edgeq.report.rows import plain
from edgeq.report.tables import Column, Table

_Named = tuple[str, TypeSpeed]


def types_terminal(speeds: TypeSpeeds) -> Group:
    """What decoding costs per weight of each type, the fastest first, and notes."""
    threads = f", {speeds.n_threads} thread{'s' * (speeds.n_threads > 1)}" if speeds.device == "cpu" else ""
    columns = [
        Column[_Named]("Type", "", lambda t: Cell(plain(t[0])), 0, True),
        Column[_Named]("bpw", "", lambda t: Cell(f"{t[1].bpw:.3f}", "", t[1].bpw), 0),
        Column[_Named]("Weights", "10⁹/s", lambda t: estimate(t[1].weights_per_s, 1e-9), 0),
        Column[_Named]("Against", "Q8_0", lambda t: number(t[1].of_q8_0), 10),
        Column[_Named]("Read", "GB/s", lambda t: number(t[1].gb_s), 20),
        Column[_Named]("Energy", "J/10⁹", lambda t: estimate(t[1].j_per_gweight), 5),
        Column[_Named]("Kept in", "", lambda t: Cell(plain(t[1].memory)), 30, True),
    ]
    items = list(speeds.types.items())
    drawn: list[RenderableType] = [
        Text(f"Decoding with weights of each type on {plain(speeds.processor)}{threads}", style="bold"),
        Text(""),
        Fitted(Table(columns, items)),
    ]
    if speeds.scope:
        drawn += dim([f"Energy of the {speeds.scope}, everything that it used."])
    states = [f"{name}: {', '.join(s.state)}." for name, s in items if s.state]
    if states:
        drawn += dim([f"No error is given where rounds differ. {' '.join(states)}"])
    for note in speeds.notes:
        line = Text("\nNote: ", style="yellow").append(note.text, style="default")
        drawn.append(line.append(f" {note.hint}", style="dim") if note.hint else line)
    return Group(*drawn)
