"""Money per million tokens: energy, and the hardware's share as a line of its own."""

from __future__ import annotations

from collections.abc import Callable

from edgeq.records import Cost, Row, Summary
from edgeq.report.figures import EMPTY, ESTIMATED, Cell, approximate, count, estimate, number
from edgeq.report.rows import devices, key, labels, ordered, plain, prefill_first, sentence
from edgeq.report.subjects import tests_of
from edgeq.report.tables import Column, Part, Table, filled, text_cell

PER = "per Mtok"
MEANING = "Per million tokens (Mtok), in the currency of the tariff. Energy and hardware are separate and not added."


def tests(summary: Summary) -> list[str]:
    """Names of the tests that have a cost, prefill before decode."""
    return prefill_first(cost.test for row in summary.rows for cost in row.costs)


def of_test(row: Row, test: str) -> Cost | None:
    """What ``test`` cost, ``None`` where it is not known."""
    return next((cost for cost in row.costs if cost.test == test), None)


def is_known(cost: Cost) -> bool:
    """Whether there is any figure."""
    return cost.energy_per_mtok is not None or cost.hardware_per_mtok is not None


def table(summary: Summary) -> Table[Row]:
    """One line for each file that has a cost."""
    names = labels(list(summary.rows))
    by_device = len(devices(list(summary.rows))) > 1
    file = Column[Row]("File", "", lambda row: text_cell(names[key(row)]), 0, True)
    columns = [
        *([Column[Row]("Device", "", lambda row: text_cell(row.device), 0, True)] if by_device else []),
        *(column for test in tests(summary) for column in _columns(test)),
    ]
    rows = [row for row in ordered(summary) if any(is_known(cost) for cost in row.costs)]
    return Table([file, *filled(columns, rows)], rows)


def _columns(test: str) -> list[Column[Row]]:
    rank = 4 if test.startswith("pp") else 2

    def of(pick: Callable[[Cost], Cell]) -> Callable[[Row], Cell]:
        def cell(row: Row) -> Cell:
            found = of_test(row, test)
            return pick(found) if found else EMPTY

        return cell

    return [
        Column(f"{plain(test)} energy", PER, of(_energy), rank),
        Column(f"{plain(test)} hardware", PER, of(lambda cost: number(cost.hardware_per_mtok)), rank + 1),
    ]


def _energy(cost: Cost) -> Cell:
    return approximate(estimate(cost.energy_per_mtok), cost.estimated)


def part(summary: Summary) -> Part[Row] | None:
    """All costs and what they rest on, ``None`` where none was worked out."""
    if not tests(summary):
        return None
    estimated = any(cost.estimated and is_known(cost) for row in summary.rows for cost in row.costs)
    about = [MEANING, *tariff(summary), *([ESTIMATED] if estimated else [])]
    return Part("Cost", about, table(summary), bases(summary))


def tariff(summary: Summary) -> list[str]:
    """The prices that the figures rest on, as one sentence."""
    found = summary.tariff
    if not found:
        return []
    parts = [f"{found.per_kwh:g} per kWh"]
    if found.efficiency is not None:
        parts.append(f"the scope's energy taken as {found.efficiency * 100:.3g} % of that at the wall")
    if found.device_price is not None:
        parts.append(f"the device at {found.device_price:g}{_life(found.life_h, found.utilization)}")
    return [sentence(f"Tariff: {', '.join(parts)}")]


def _life(hours: float | None, utilization: float) -> str:
    return f", in use for {utilization * 100:.3g} % of {count(round(hours))} h" if hours is not None else ""


def bases(summary: Summary) -> list[str]:
    """How the energy at the wall was found, each way once, with the tests and files that it concerns."""
    found: dict[str, list[tuple[str, Row]]] = {}
    for row in ordered(summary):
        for cost in row.costs:
            if cost.basis:
                found.setdefault(cost.basis, []).append((cost.test, row))
    return [sentence(f"Basis of {tests_of(summary, which)}: {basis}") for basis, which in found.items()]
