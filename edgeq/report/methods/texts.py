"""The texts that were scored: which of them calibration knew, and what they are called in a heading."""

from __future__ import annotations

from edgeq.records import Estimate, MethodRow, MethodsTable, Quality
from edgeq.report.figures import count
from edgeq.report.rows import plain

IN_DOMAIN, OTHER = "in-domain", "out-of-domain"


def labels(table: MethodsTable) -> dict[str, str]:
    """Short names by the names of the texts: in-domain where calibration saw another part of the same text."""
    found: dict[str, str] = {}
    for inside, word in ((True, IN_DOMAIN), (False, OTHER)):
        names = [name for name in table.texts if (name in table.calibration) == inside]
        found |= {name: word if len(names) == 1 else f"{word} {i}" for i, name in enumerate(names, 1)}
    return {name: found[name] for name in table.texts}


def said(table: MethodsTable) -> list[str]:
    """What each short name stands for."""
    return [
        f"{label}: {plain(name)}, {count(table.n_tokens[name])} scored tokens" for name, label in labels(table).items()
    ]


def quality_of(row: MethodRow, name: str) -> Quality | None:
    """Quality on a text, None where it was not scored."""
    return row.quality.get(name)


def worst_kld(row: MethodRow) -> Estimate | None:
    """The largest mean KLD of all texts."""
    return max((q.kld for q in row.quality.values() if q.kld), key=lambda kld: kld.value, default=None)
