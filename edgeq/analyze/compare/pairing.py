"""Which file of one side belongs to which of the other."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

from edgeq.analyze.notes import name_of
from edgeq.records import BenchRecord, EvalRecord, Gguf


class Side(NamedTuple):
    """All records of one side."""

    benches: Sequence[BenchRecord]
    evals: Sequence[EvalRecord]


class File(NamedTuple):
    """One file and all records of it."""

    model: Gguf
    benches: Sequence[BenchRecord]
    evals: Sequence[EvalRecord]

    @property
    def name(self) -> str:
        """A recipe's name, or the file type."""
        return name_of(self.model)


# From what is surely the same to what has only the same type.
_ALIKE: tuple[Callable[[Gguf], Hashable], ...] = (
    lambda m: m.sha256,
    lambda m: (m.name, name_of(m)),
    name_of,
    lambda m: m.file_type,
)


def paired(a: Side, b: Side) -> tuple[list[tuple[File, File]], tuple[str, ...]]:
    """(the files that belong together, names of those that stay alone). One on each side always belong together.

    Where several files of a side are alike in what is looked at, they are not paired by it.
    """
    ours, theirs = _files(a), _files(b)
    if len(ours) == len(theirs) == 1:
        return [(ours[0], theirs[0])], ()
    found = []
    for alike in _ALIKE:
        for file in list(ours):
            key = alike(file.model)
            same = [[f for f in files if alike(f.model) == key] for files in (ours, theirs)]
            if len(same[0]) == len(same[1]) == 1:
                ours.remove(file)
                theirs.remove(same[1][0])
                found.append((file, same[1][0]))
    found.sort(key=lambda pair: -pair[0].model.bpw)
    return found, (*(f"A: {f.name}" for f in ours), *(f"B: {f.name}" for f in theirs))


def _files(side: Side) -> list[File]:
    models = {m.sha256: m for m in (*(b.model for b in side.benches), *(e.model for e in side.evals))}
    return [
        File(
            model,
            [r for r in side.benches if r.model.sha256 == sha256],
            [r for r in side.evals if r.model.sha256 == sha256],
        )
        for sha256, model in models.items()
    ]
