"""Rows that may stand in one ranking, and what has to be said where they were not measured alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from edgeq.analyze.advice.candidates import Candidate, candidates, seen_from
from edgeq.records import Note, Row
from edgeq.records.advice import Wanted


class Group(NamedTuple):
    """The candidates for one device."""

    device: str
    files: list[Candidate]
    notes: tuple[Note, ...]


def groups(rows: Sequence[Row], wanted: Wanted) -> tuple[list[Group], tuple[Note, ...]]:
    """One group for each device, and what concerns all of them."""
    if wanted.board:
        found = _for_board(rows, wanted, set(wanted.board.devices))
        return found, tuple(_several(found))
    measured = {row.device for row in rows if _benched(row)}
    aside = sorted({row.name for row in rows if measured and row.device not in measured})
    names = sorted(measured or {row.device for row in rows})
    found = [_group(name, [r for r in rows if r.device == name], [], wanted) for name in names]
    notes = list(_several(found))
    if aside:
        text = f"Not benched on any of these devices, and left out: {', '.join(aside)}."
        notes.append(Note("not-benched", text, "`edgeq bench` measures them."))
    return found, tuple(notes)


def _for_board(rows: Sequence[Row], wanted: Wanted, names: set[str]) -> list[Group]:
    assert wanted.board is not None
    own = {name: [r for r in rows if r.device == name and _benched(r)] for name in sorted(names)}
    own = {name: found for name, found in own.items() if found}
    if not own:
        return [_group(wanted.board.profile, [], _once(rows), wanted)]
    found = []
    for name, benched in own.items():
        here = {row.sha256 for row in benched}
        found.append(_group(name, benched, _once(r for r in rows if r.sha256 not in here), wanted))
    return found


def _once(rows: Iterable[Row]) -> list[Row]:
    """Each file once: what carries over is the same wherever it was measured. Rows that were scored come first."""
    best: dict[str, Row] = {}
    for row in sorted(rows, key=lambda r: (r.quality is None, r.rss_peak_bytes is None, r.device, repr(r.settings))):
        best.setdefault(row.sha256, row)
    return sorted(best.values(), key=lambda r: (r.n_bytes, r.name, r.sha256))


def _group(device: str, own: list[Row], carried: list[Row], wanted: Wanted) -> Group:
    own = sorted(own, key=lambda r: (r.n_bytes, r.name, r.sha256, r.build or "", repr(r.settings)))
    notes = [*_unlike(own, [*own, *carried]), *_scopes(own, wanted.test), *_untested(own, wanted.test)]
    if carried:
        notes.append(_from_elsewhere(own, carried))
    return Group(device, candidates(own, carried, wanted), tuple(notes))


def _benched(row: Row) -> bool:
    return row.settings is not None or bool(row.speeds)


def _several(found: Sequence[Group]) -> Iterator[Note]:
    if len(found) > 1:
        names = "; ".join(group.device or "not named" for group in found)
        yield Note("several-devices", f"Figures of different devices are not ranked together: {names}.")


def _unlike(own: Sequence[Row], scored: Sequence[Row]) -> Iterator[Note]:
    if len({r.build for r in own if r.build}) > 1:
        yield Note("mixed-builds", "The speeds are not all from the same build of llama.cpp.")
    if len({r.power_mode for r in own if _benched(r)}) > 1:
        yield Note("mixed-power-modes", "The speeds are not all from the same power mode.")
    if len({r.tokens_sha256 for r in scored if r.quality and r.tokens_sha256}) > 1:
        yield Note("mixed-evals", "The quality figures are not all over the same text.", "`edgeq evaluate` all on one.")


def _scopes(own: Sequence[Row], test: str) -> Iterator[Note]:
    seen = seen_from(own, test)
    if seen is None:
        return
    with_energy = {r.name for r in own if any(e.test == test and e.gross_j_per_token for e in r.energies)}
    counted = {r.name for r in own if any(_same(e.scope, e.estimated, seen) and e.test == test for e in r.energies)}
    if left := sorted(with_energy - counted):
        kind = f"{'estimated ' if seen.estimated else ''}{seen.scope}"
        yield Note("mixed-scopes", f"Energy is compared at scope {kind}; {', '.join(left)} has it at another only.")


def _same(scope: str, estimated: bool, seen: tuple[str, bool]) -> bool:
    return (scope, estimated) == tuple(seen)


def _untested(own: Sequence[Row], test: str) -> Iterator[Note]:
    there = sorted({s.test for r in own for s in r.speeds})
    if own and test not in there:
        yield Note("no-such-test", f"No file has a result of {test}.", f"Measured: {', '.join(there) or 'none'}.")


def _from_elsewhere(own: Sequence[Row], carried: Sequence[Row]) -> Note:
    where = ", ".join(sorted({r.device for r in carried if r.device})) or "no device"
    some = f"Some files were measured on another machine only ({where})"
    middle = some if own else f"Nothing was measured on this board, only on {where}"
    return Note(
        "from-elsewhere",
        f"{middle}: of such files quality and file size carry over. RAM, t/s and J/token do not.",
        "`edgeq bench` on the board measures them; `edgeq fit FILE --profile PROFILE` says whether a file fits.",
    )
