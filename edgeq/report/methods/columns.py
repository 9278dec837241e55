"""The columns of the tables of methods, the same for terminal, Markdown and HTML."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from edgeq.records import Energy, Estimate, Figure, MethodRow, MethodsTable, Quality, Speed
from edgeq.report.energy import SMALL_J
from edgeq.report.figures import EMPTY, Cell, approximate, estimate, fixed, interval, number
from edgeq.report.methods import texts
from edgeq.report.rows import plain, prefill_first
from edgeq.report.tables import Column, Table, filled, text_cell

Columns = list[Column[MethodRow]]
SKIPPED = "skipped"
PREFIX = "32"


def method_of(row: MethodRow) -> str:
    """Number and title of the method; the reference has none."""
    return f"{row.number} {row.title}" if row.number else row.title or "-"


def all_rows(table: MethodsTable) -> list[MethodRow]:
    """The reference, the arms, the shipping types."""
    return [table.reference, *table.rows, *table.shipping]


def tests(rows: Iterable[MethodRow]) -> list[str]:
    """Names of the bench tests that any row has, prefill before decode."""
    return prefill_first(name for row in rows for name in (*(s.test for s in row.speeds), *row.speedups))


def decode_test(rows: Iterable[MethodRow]) -> str | None:
    """The first decode test, which stands for speed where there is room for one."""
    return next((name for name in tests(rows) if name.startswith("tg")), None)


def identity(rows: list[MethodRow]) -> Columns:
    """Method and arm; of shipping types only their name."""
    arm = Column[MethodRow]("Arm", "", lambda row: text_cell(row.arm.name), 0, True)
    if not any(row.number for row in rows):
        return [Column("File type", "", arm.cell, 0, True)]
    return [Column("Method", "", lambda row: text_cell(method_of(row)), 0, True), arm]


def figures(table: MethodsTable, rows: list[MethodRow]) -> Table[MethodRow]:
    """Everything that is measured of an arm, one line each."""
    columns = [
        Column[MethodRow]("Computed", "", _numerics, 90, True),
        Column[MethodRow]("bpw", "weights", lambda row: number(row.weight_bpw), 2),
        Column[MethodRow]("bpw", "file", lambda row: number(row.bpw), 95),
        *_quality(table),
        *_groups(table),
        *_stability(),
        Column[MethodRow]("File", "% less", lambda row: _less(row.size_reduction), 20),
        Column[MethodRow]("RAM peak", "% less", lambda row: _less(row.rss_reduction), 40),
        *(Column(plain(test), "×", _speedup(test), 25 if test.startswith("tg") else 30) for test in tests(rows)),
        *_energy(rows),
        Column[MethodRow]("Late KLD", "× early", lambda row: _ratio(row.late_kld_ratio), 75),
        Column[MethodRow]("Time", "s", lambda row: number(row.seconds), 100),
    ]
    return Table([*identity(rows), *filled(columns, rows)], rows, marks, group=lambda row: row.number)


def marks(row: MethodRow) -> list[str]:
    """Words that set a row apart."""
    return ["reference"] if not row.arm.method else []


def _numerics(row: MethodRow) -> Cell:
    return Cell(SKIPPED if row.skipped else f"{row.arm.numerics}{', control' if row.arm.control else ''}")


def _quality(table: MethodsTable) -> Columns:
    found: Columns = []
    for index, (name, label) in enumerate(texts.labels(table).items()):

        def of(pick: Callable[[Quality], Estimate | None], factor: float = 1, name: str = name) -> Callable[..., Cell]:
            def cell(row: MethodRow) -> Cell:
                quality = texts.quality_of(row, name)
                return estimate(pick(quality) if quality else None, factor)

            return cell

        found += [
            Column("KLD", f"nats\n{label}", of(lambda q: q.kld), 1 + index),
            Column("Top-1", f"%\n{label}", of(lambda q: q.top1, 100), 50 + index),
            Column("PPL ratio", label, of(lambda q: q.ppl_ratio), 60 + index),
        ]
    return sorted(found, key=lambda column: column.heading != "KLD")


def _groups(table: MethodsTable) -> Columns:
    """Loss or gain in each group of tasks."""

    def of(group: str) -> Callable[[MethodRow], Cell]:
        def cell(row: MethodRow) -> Cell:
            found = row.groups.get(group)
            return estimate(found.difference.estimate, 100) if found else EMPTY

        return cell

    names = dict.fromkeys(table.groups.values())
    return [Column(plain(name).capitalize(), "points", of(name), 15 + i) for i, name in enumerate(names)]


def _stability() -> Columns:
    def until(row: MethodRow) -> Cell:
        found = row.stability
        if not found or not found.same_prefix:
            return EMPTY
        if found.first_divergence is None:
            return Cell(f">{found.n_tokens}", "", float(found.n_tokens))
        return Cell(f"{found.first_divergence:g}", "", found.first_divergence)

    def share(pick: Callable[[MethodRow], float | None]) -> Callable[[MethodRow], Cell]:
        return lambda row: EMPTY if (found := pick(row)) is None else Cell(fixed(100 * found, 0), "", 100 * found)

    def repeats(row: MethodRow) -> Cell:
        same = row.stability.deterministic if row.stability else None
        return EMPTY if same is None else Cell("yes" if same else "no")

    return [
        Column("Same until", "tokens", until, 35),
        Column(
            f"Same {PREFIX}", "%", share(lambda r: r.stability.same_prefix.get(PREFIX) if r.stability else None), 70
        ),
        Column("Loops", "%", share(lambda r: r.stability.loops if r.stability else None), 72),
        Column("Distinct-3", "%", share(lambda r: r.stability.distinct3 if r.stability else None), 92),
        Column("Repeatable", "", repeats, 94, True),
    ]


def _less(share: float | None) -> Cell:
    return EMPTY if share is None else Cell(fixed(100 * share, 1), "", 100 * share)


def _ratio(figure: Figure | None) -> Cell:
    return estimate(figure.estimate if figure else None)


def _speedup(test: str) -> Callable[[MethodRow], Cell]:
    return lambda row: _ratio(row.speedups.get(test))


def speed_of(row: MethodRow, test: str) -> Speed | None:
    """The result of a test, None where it was not measured."""
    return next((speed for speed in row.speeds if speed.test == test), None)


def energy_of(row: MethodRow, test: str) -> Energy | None:
    """The headline figure of a test, None where there is none."""
    found = (e for e in row.energies if e.test == test and e.headline and e.gross_j_per_token)
    return next(found, None)


def _energy(rows: list[MethodRow]) -> Columns:
    """Gross energy per token; the scope in the heading, or in the cells where scopes differ."""
    found: Columns = []
    for test in tests(rows):
        known = [e for row in rows if (e := energy_of(row, test))]
        scopes = list(dict.fromkeys(plain(e.scope) for e in known))
        small = any(abs(e.gross_j_per_token.value) < SMALL_J for e in known if e.gross_j_per_token)
        factor, unit = (1000.0, "mJ/token") if small else (1.0, "J/token")

        def cell(row: MethodRow, test: str = test, factor: float = factor, several: bool = len(scopes) > 1) -> Cell:
            energy = energy_of(row, test)
            if not energy:
                return EMPTY
            figure = approximate(estimate(energy.gross_j_per_token, factor), energy.estimated)
            return figure._replace(word=plain(energy.scope)) if several else figure

        where = f"\n({scopes[0]})" if len(scopes) == 1 else ""
        found.append(Column(plain(test), f"{unit}{where}", cell, 45 if test.startswith("tg") else 65))
    return found


def confidence(ci95: tuple[float, float] | None, factor: float = 1.0) -> Cell:
    """A 95 % interval times ``factor``."""
    return interval((ci95[0] * factor, ci95[1] * factor) if ci95 else None)
