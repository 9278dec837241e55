"""Which rows there are, in which order, and what each of them is called."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

from edgeq.records import Note, Row, Speed, Summary

# Below this share of weights with the promised type the name misleads, and labels carry the real bpw.
MOSTLY = 0.5

FAMILIES = {
    "k": "K-quants",
    "iq": "IQ types",
    "legacy": "Legacy types",
    "float": "Unquantized",
    "other": "Other types",
}

# SHA-256, device, threads.
Key = tuple[str, str, int | None]


def plain(text: str) -> str:
    """``text`` on one line, without control and bidirectional characters, which could forge a report."""
    spaced = re.sub(r"\s+", " ", text).strip()
    if spaced.isascii() and spaced.isprintable():
        return spaced
    return "".join("\ufffd" if unicodedata.category(c) in ("Cc", "Cf", "Cs") else c for c in spaced)


def ordered(summary: Summary) -> list[Row]:
    """The reference first, then by bpw descending."""
    return sorted(
        summary.rows,
        key=lambda row: (not row.reference, -row.bpw, row.file_type, row.name, row.device, n_threads(row) or 0),
    )


def devices(rows: list[Row]) -> list[str]:
    """Devices in order of appearance."""
    return list(dict.fromkeys(row.device for row in rows))


def tests(rows: list[Row]) -> list[str]:
    """Names of the bench tests that any row has, prefill before decode."""
    return prefill_first(speed.test for row in rows for speed in row.speeds)


def prefill_first(tests: Iterable[str]) -> list[str]:
    """Each test once, prefill before decode."""
    return sorted(dict.fromkeys(tests), key=lambda name: not name.startswith("pp"))


def speed_of(row: Row, test: str) -> Speed | None:
    """The result of ``test``, ``None`` where it was not measured."""
    return next((speed for speed in row.speeds if speed.test == test), None)


def on_front(summary: Summary, row: Row) -> bool:
    """Whether ``row`` is among ``summary.front``, which holds SHA-256 sums or, failing these, names."""
    if any(other.sha256 in summary.front for other in summary.rows):
        return row.sha256 in summary.front
    return row.name in summary.front


def family(row: Row) -> str:
    """Key into ``FAMILIES`` by the file type's spelling."""
    name = row.file_type.upper()
    if re.match(r"(F|BF)\d", name):
        return "float"
    if name.startswith("IQ"):
        return "iq"
    if re.match(r"Q\d+_K", name):
        return "k"
    return "legacy" if re.match(r"Q\d+_[01]", name) else "other"


def n_threads(row: Row) -> int | None:
    """Threads of its bench, None where there was none."""
    return row.settings.n_threads if row.settings else None


def key(row: Row) -> Key:
    """What sets a row apart: file, device, threads."""
    return (row.sha256, row.device, n_threads(row))


def labels(rows: list[Row]) -> dict[Key, str]:
    """A short name for each row: the file type, made unique and honest where it is neither."""
    seen = Counter((row.file_type, row.device, n_threads(row)) for row in rows)
    named = Counter((row.file_type, row.device, n_threads(row), row.name) for row in rows)
    threads = Counter((row.sha256, row.device) for row in rows)
    found = {}
    for row in rows:
        label = row.file_type
        n = n_threads(row)
        if seen[row.file_type, row.device, n] > 1:
            by_name = named[row.file_type, row.device, n, row.name] == 1
            label = row.name if by_name else f"{row.file_type} {row.bpw:.2f} bpw"
        elif row.on_label is not None and row.on_label < MOSTLY:
            label = f"{row.file_type} {row.bpw:.2f} bpw"
        if n is not None and threads[row.sha256, row.device] > 1:
            label = f"{label}, {n} thread{'' if n == 1 else 's'}"
        found[key(row)] = plain(label)
    return found


def shares(row: Row) -> list[tuple[str, float]]:
    """Tensor types and their share of the parameters, largest first."""
    total = sum(row.tensor_types.values())
    if total <= 0:
        return []
    scale = 1.0 if abs(total - 1) < 1e-6 else 1 / total
    return sorted(((name, n * scale) for name, n in row.tensor_types.items() if n > 0), key=lambda pair: -pair[1])


def sentence(text: str) -> str:
    """``text`` on one line, closed with a period where it has no end."""
    text = plain(text)
    return text if not text or text[-1] in ".!?" else f"{text}."


def notes(summary: Summary) -> list[tuple[str, str]]:
    """(text, hint) of every warning, the summary's first, each once, as sentences that name their row."""
    names = labels(list(summary.rows))
    found: dict[tuple[str, str], None] = {}
    for note in summary.warnings:
        found[sentence(note.text), sentence(note.hint)] = None
    for row in ordered(summary):
        for note in row.notes:
            text = _with_subject(note, row, names[key(row)])
            found[sentence(text), sentence(note.hint)] = None
    return list(found)


def _with_subject(note: Note, row: Row, label: str) -> str:
    named = any(name and name in note.text for name in (row.file_type, row.name))
    return note.text if named else f"{label}: {note.text}"
