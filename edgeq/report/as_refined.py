"""What refining has made of a file, in a terminal."""

from __future__ import annotations

from rich.console import Group
from rich.text import Text

from edgeq.records import Gguf, RefinedClass
from edgeq.report.as_terminal import Fitted, dim
from edgeq.report.figures import Cell, count, number, percent
from edgeq.report.tables import Column, Table, text_cell

_ABOUT = (
    "λ: how far the moments are shrunk to their diagonal; the validation text has chosen it. Loss: on the validation "
    "text, over the encoder's. What has none stays as it was."
)


def refined_terminal(file: Gguf) -> Group:
    """What refining has made of each kind of tensor."""
    found = file.refined
    assert found is not None
    if not found.classes:
        return Group(Text("None of its tensors has a type that can be refined: it is as the encoder made it."))
    columns = [
        Column[RefinedClass]("Tensors", "", lambda c: text_cell(c.name), 0, True),
        Column[RefinedClass]("Better", "", lambda c: Cell(f"{count(c.n_better)} of {count(c.n_tensors)}"), 0),
        Column[RefinedClass]("λ", "", lambda c: number(c.shrinkage), 1),
        Column[RefinedClass]("Loss", "ratio", lambda c: number(c.loss if c.n_better else None), 0),
        Column[RefinedClass]("Changed", "%", lambda c: percent(c.changed), 2),
    ]
    return Group(Fitted(Table(columns, list(found.classes))), *dim([_ABOUT]))
