"""Rows as candidates: what of a row counts on the device that the file is for, and what it is called there."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from edgeq import stats
from edgeq.analyze.advice.money import Line, line
from edgeq.records import Energy, Estimate, Row
from edgeq.records.advice import Choice, Figures, Wanted

# What a scope is called that was given as a sum of scopes: as wide as the widest of them.
_WIDTHS = {str(scope): width for scope, width in stats.WIDTH.items()}


class Seen(NamedTuple):
    """From where a group's energy is seen; figures of another scope, or estimates among measurements, don't compare."""

    scope: str
    estimated: bool


class Candidate(NamedTuple):
    """One row as a choice. ``line``: its cost over the price of a kWh, None where that is not known.

    ``order``: which of several equally good ones is taken: smaller first, then less energy, then faster.
    """

    row: Row
    choice: Choice
    line: Line | None
    order: tuple[object, ...]

    @property
    def figures(self) -> Figures:
        """What it is judged by."""
        return self.choice.figures


def _order(row: Row, figures: Figures) -> tuple[object, ...]:
    """What decides, and then what makes the order independent of that of the rows."""
    j, tps = figures.j_per_token, figures.tps
    decides = (row.n_bytes, j.value if j else math.inf, -tps.value if tps else 0.0)
    return (*decides, row.name, row.sha256, row.build or "", repr(row))


def seen_from(rows: Iterable[Row], test: str) -> Seen | None:
    """The scope that most rows have a figure at; of several the widest, a measured one before an estimate."""
    found = Counter(
        Seen(e.scope, e.estimated)
        for row in rows
        for e in {(e.scope, e.estimated): e for e in row.energies if _counts(e, test)}.values()
    )
    return min(found, key=lambda s: (-found[s], s.estimated, _width(s.scope), s.scope), default=None)


def candidates(own: Sequence[Row], carried: Sequence[Row], wanted: Wanted) -> list[Candidate]:
    """Those that were measured on the device, and those of which only quality and size carry over."""
    seen = seen_from(own, wanted.test)
    rows = [*own, *carried]
    names = _labels(rows)
    found = [_measured(row, name, wanted, seen) for row, name in zip(own, names, strict=False)]
    found += [_carried(row, name) for row, name in zip(carried, names[len(own) :], strict=True)]
    return sorted(found, key=lambda c: c.order)


def _measured(row: Row, label: str, wanted: Wanted, seen: Seen | None) -> Candidate:
    speed = next((s for s in row.speeds if s.test == wanted.test), None)
    energy = next((e for e in row.energies if _counts(e, wanted.test) and (e.scope, e.estimated) == seen), None)
    figures = _quality(row, rss_peak_bytes=row.rss_peak_bytes)
    if speed:
        # A state means that the error is not known, whatever stands there.
        tps = replace(speed.tps, se=None) if speed.state else speed.tps
        speed = replace(speed, tps=tps)
        figures = replace(figures, tps=tps, state=speed.state)
    if energy:
        figures = replace(figures, j_per_token=energy.gross_j_per_token, scope=energy.scope, estimated=energy.estimated)
    found = None
    if speed and wanted.tariff:
        found, cost = line(speed, energy, wanted.tariff)
        figures = replace(
            figures,
            cost_per_mtok=found.at(wanted.tariff.per_kwh) if found else None,
            hardware_per_mtok=cost.hardware_per_mtok,
            cost_estimated=cost.estimated,
        )
    choice = replace(
        _choice(row, label, figures),
        settings=row.settings,
        backend=row.backend,
        build=row.build,
        power_mode=row.power_mode,
    )
    return Candidate(row, choice, found, _order(row, figures))


def _carried(row: Row, label: str) -> Candidate:
    choice = replace(
        _choice(row, label, _quality(row)),
        measured_on=row.device or "another machine",
        rss_elsewhere_bytes=row.rss_peak_bytes,
    )
    return Candidate(row, choice, None, _order(row, choice.figures))


def _choice(row: Row, label: str, figures: Figures) -> Choice:
    return Choice(label, row.sha256, row.file_type, row.bpw, row.reference, figures)


def _quality(row: Row, rss_peak_bytes: int | None = None) -> Figures:
    if row.reference:
        same = Estimate(1.0, 0.0)
        return Figures(row.n_bytes, Estimate(0.0, 0.0), same, same, rss_peak_bytes)
    q = row.quality
    if q is None:
        return Figures(row.n_bytes, rss_peak_bytes=rss_peak_bytes)
    return Figures(row.n_bytes, q.kld, q.top1, q.ppl_ratio, rss_peak_bytes)


def _counts(energy: Energy, test: str) -> bool:
    return energy.test == test and energy.gross_j_per_token is not None


def _width(scope: str) -> int:
    return min((_WIDTHS.get(part, 9) for part in scope.split(" + ")), default=9)


def _labels(rows: Sequence[Row]) -> list[str]:
    """Names; where several rows share one, with what tells them apart: size, settings, machine, at last the hash."""
    names = [row.name for row in rows]
    for details in (_bpw, _settings, _machine, _hash):
        alike: dict[str, list[int]] = {}
        for i, name in enumerate(names):
            alike.setdefault(name, []).append(i)
        for name, where in alike.items():
            said = [details(rows[i]) for i in where] if len(where) > 1 else []
            differing = [n for n, column in enumerate(zip(*said, strict=True)) if len(set(column)) > 1]
            for i, words in zip(where, said, strict=False):
                more = ", ".join(words[n] for n in differing if words[n])
                names[i] = f"{name} ({more})" if more else name
    return names


def _bpw(row: Row) -> tuple[str, ...]:
    return (f"{row.bpw:.2f} bpw",)


def _settings(row: Row) -> tuple[str, ...]:
    s = row.settings
    if s is None:
        return ("", "", "", "", "", "", "")
    cache = (f"ctk {s.type_k}", f"ctv {s.type_v}", f"fa {s.flash_attn}")
    threads = f"{s.n_threads} thread{'' if s.n_threads == 1 else 's'}"
    return (threads, *cache, f"ngl {s.n_gpu_layers}", f"batch {s.n_batch}", f"ubatch {s.n_ubatch}")


def _machine(row: Row) -> tuple[str, ...]:
    return (row.backend or "", row.power_mode or "", (row.build or "")[:8])


def _hash(row: Row) -> tuple[str, ...]:
    return (row.sha256[:8],)
