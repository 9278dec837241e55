"""Energy: which figures there are, in which unit, and what each of them includes."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from edgeq.records import Energy, Estimate, Row, Summary
from edgeq.report.figures import EMPTY, ESTIMATED, Cell, approximate, estimate, number
from edgeq.report.rows import devices, key, labels, ordered, plain, prefill_first, sentence
from edgeq.report.subjects import listed, tests_of
from edgeq.report.tables import Column, Part, Table, filled, text_cell

# From the outside in: what each scope includes, and what it leaves out.
SCOPES = {
    "wall": "everything that the meter at the mains feeds, the power supply's losses included",
    "board": "the whole device at its direct-current input or battery; not the losses of its power supply",
    "module": "the compute module at its own input: processor, GPU, memory; not the carrier board, what is plugged "
    "into it, or the power supply",
    "package + gpu": "the processor's package and the graphics card, added; not the board, the memory beside the "
    "processor, drives, display or power supply",
    "package": "the processor's package; not the board, the memory beside it, drives, display or power supply",
    "gpu": "the graphics card; not the processor that feeds it, the board or the power supply",
    "rail": "the supply rails that were read; not what else the device feeds",
}
UNKNOWN_SCOPE = "as its sensor defines it"
GROSS_AND_NET = (
    "Gross is all that the scope used while the test ran; net is less what it uses when idle. "
    "± is one standard uncertainty, the meter's own included where its limits are known."
)
MIXED = "The scopes of these energy figures differ: compare only those of the same scope."
# Below this many J/token a column reads better in mJ.
SMALL_J = 0.1


class Unit(NamedTuple):
    """The unit of all energies per token in one report."""

    factor: float
    name: str


class Measured(NamedTuple):
    """One file's energy in one test at one scope."""

    row: Row
    energy: Energy


def tests(summary: Summary) -> list[str]:
    """Names of the tests whose energy was looked at, prefill before decode."""
    return prefill_first(energy.test for row in summary.rows for energy in row.energies)


def of_test(row: Row, test: str) -> list[Energy]:
    """All that is known of one test, the headline first, then from the widest scope to the narrowest."""
    return sorted((e for e in row.energies if e.test == test), key=_from_outside)


def _from_outside(energy: Energy) -> tuple[bool, int, str, str]:
    scopes = list(SCOPES)
    place = scopes.index(energy.scope) if energy.scope in SCOPES else len(scopes)
    return not energy.headline, place, energy.scope, energy.source


def headline(row: Row, test: str) -> Energy | None:
    """The figure that stands for ``test``, ``None`` where none was measured."""
    return next((e for e in of_test(row, test) if e.headline and e.gross_j_per_token), None)


def headlines(summary: Summary, test: str) -> list[Measured]:
    """The headline figures of one test, in the order of the rows."""
    return [Measured(row, energy) for row in ordered(summary) if (energy := headline(row, test))]


def unit(summary: Summary) -> Unit:
    """mJ/token where some headline figure is small in J/token: the same for the whole report."""
    found = [m.energy.gross_j_per_token for test in tests(summary) for m in headlines(summary, test)]
    small = any(gross and abs(gross.value) < SMALL_J for gross in found)
    return Unit(1000.0, "mJ/token") if small else Unit(1.0, "J/token")


def scopes_of(summary: Summary, test: str) -> list[str]:
    """The scopes of one test's headline figures; more than one can't be compared."""
    return list(dict.fromkeys(m.energy.scope for m in headlines(summary, test)))


def mixed(summary: Summary) -> bool:
    """Whether some test's headline figures are of different scopes."""
    return any(len(scopes_of(summary, test)) > 1 for test in tests(summary))


def is_known(energy: Energy) -> bool:
    """Whether there is any figure."""
    per_token = (energy.gross_j_per_token, energy.net_j_per_token)
    power = (energy.mean_w, energy.max_w, energy.idle_w, energy.loaded_idle_w)
    return any(value is not None for value in (*per_token, *power))


def headline_columns(summary: Summary, rank: Callable[[str], int]) -> list[Column[Row]]:
    """Gross energy per token of each test that has any. The scope is in the heading, or in the cells if they differ."""
    return [_headline_column(summary, test, rank(test)) for test in tests(summary) if headlines(summary, test)]


def _headline_column(summary: Summary, test: str, rank: int) -> Column[Row]:
    scopes, in_unit = scopes_of(summary, test), unit(summary)

    def cell(row: Row) -> Cell:
        found = headline(row, test)
        if not found:
            return EMPTY
        figure = approximate(estimate(found.gross_j_per_token, in_unit.factor), found.estimated)
        return figure if len(scopes) == 1 else figure._replace(word=plain(found.scope))

    where = f"\n({plain(scopes[0])})" if len(scopes) == 1 else ""
    return Column(plain(test), f"{in_unit.name}{where}", cell, rank)


def table(summary: Summary) -> Table[Measured]:
    """Every figure: test by test, the headline scope of all files first."""
    items = [
        Measured(row, energy)
        for test in tests(summary)
        for row in ordered(summary)
        for energy in of_test(row, test)
        if is_known(energy) or not energy.missing
    ]
    order = tests(summary)
    items.sort(key=lambda m: (order.index(m.energy.test), *_from_outside(m.energy)[:3]))
    names = labels(list(summary.rows))
    in_unit = unit(summary)
    by_device = len(devices(list(summary.rows))) > 1

    def per_token(name: str) -> Column[Measured]:
        def cell(m: Measured) -> Cell:
            return approximate(estimate(getattr(m.energy, f"{name}_j_per_token"), in_unit.factor), m.energy.estimated)

        return Column(name.capitalize(), in_unit.name, cell, 0 if name == "gross" else 1)

    def power(heading: str, name: str, rank: int) -> Column[Measured]:
        def cell(m: Measured) -> Cell:
            value: Estimate | float | None = getattr(m.energy, name)
            known = number(value) if value is None or isinstance(value, float | int) else estimate(value)
            return approximate(known, m.energy.estimated)

        return Column(heading, "W", cell, rank)

    file = Column[Measured]("File", "", lambda m: text_cell(names[key(m.row)]), 0, True)
    columns = [
        *([Column[Measured]("Device", "", lambda m: text_cell(m.row.device), 0, True)] if by_device else []),
        Column[Measured]("Test", "", lambda m: text_cell(m.energy.test), 0, True),
        Column[Measured]("Scope", "", lambda m: text_cell(m.energy.scope), 0, True),
        per_token("gross"),
        per_token("net"),
        power("Mean", "mean_w", 2),
        power("Idle", "idle_w", 3),
        power("Loaded idle", "loaded_idle_w", 6),
        power("Max", "max_w", 7),
        Column[Measured]("Window", "s", lambda m: number(m.energy.window_s), 5),
        Column[Measured]("Source", "", lambda m: text_cell(m.energy.source), 8, True, True),
    ]
    return Table([file, *filled(columns, items)], items, group=lambda m: (m.energy.test, m.energy.scope))


def part(summary: Summary) -> Part[Measured] | None:
    """All energy figures and why others are missing, ``None`` where energy was not looked at."""
    if not tests(summary):
        return None
    estimated = any(e.estimated and is_known(e) for row in summary.rows for e in row.energies)
    about = [GROSS_AND_NET, *without_limits(summary), *scopes(summary), *([ESTIMATED] if estimated else [])]
    return Part("Energy", about, table(summary), reasons(summary))


def sources(summary: Summary) -> dict[str, list[str]]:
    """What was read at each scope that has figures, the widest first; estimates are scopes of their own."""
    known = sorted((e for row in ordered(summary) for e in row.energies if is_known(e)), key=_from_outside)
    found: dict[str, list[str]] = {}
    for energy in known:
        names = found.setdefault(f"{energy.scope}{' (estimated)' if energy.estimated else ''}", [])
        names += [energy.source] if energy.source and energy.source not in names else []
    return found


def scopes(summary: Summary) -> list[str]:
    """For each scope of a headline figure: what was read, what it includes, and what not."""
    found: dict[str, list[str]] = {}
    for test in tests(summary):
        for _, energy in headlines(summary, test):
            names = found.setdefault(energy.scope, [])
            names += [energy.source] if energy.source and energy.source not in names else []
    return [
        sentence(f"Scope {scope}{f' (from {listed(names)})' if names else ''}: {SCOPES.get(scope, UNKNOWN_SCOPE)}")
        for scope, names in found.items()
    ]


def without_limits(summary: Summary) -> list[str]:
    """Whose error is not in the figures."""
    names = {
        energy.source.split(":")[0]: None
        for row in ordered(summary)
        for energy in row.energies
        if is_known(energy) and not energy.limits_known
    }
    return (
        [f"For {listed(list(names))} no limits are stated: how far all its figures may be off is not in ±."]
        if names
        else []
    )


def reasons(summary: Summary) -> list[str]:
    """Why figures are missing, each reason once, with the tests and files that it concerns."""
    found: dict[tuple[str, bool, str], list[tuple[str, Row]]] = {}
    for row in ordered(summary):
        for energy in sorted(row.energies, key=_from_outside):
            if energy.missing:
                key = energy.scope, is_known(energy), energy.missing
                found.setdefault(key, []).append((energy.test, row))
    return [
        sentence(f"{'Incomplete' if known else 'No'} energy at scope {scope} for {tests_of(summary, which)}: {reason}")
        for (scope, known, reason), which in found.items()
    ]
