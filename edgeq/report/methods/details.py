"""What the table of methods has no room for: rates, every task, retrieval by depth, and the floor."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from edgeq.records import MethodRow, MethodsTable, Quality, TaskResult
from edgeq.report.columns import rate
from edgeq.report.figures import EMPTY, Cell, count, estimate, fixed, number
from edgeq.report.methods import texts
from edgeq.report.methods.columns import all_rows, confidence, method_of, speed_of, tests
from edgeq.report.rows import plain
from edgeq.report.tables import Column, Part, Table, filled, text_cell

SIGNIFICANT = 0.05
TASKS = (
    "Every task against the reference on the same questions. p: exact McNemar test, corrected for the number of arms "
    "(Holm). Flips: questions whose result is another. Tokens: share of the right answers' tokens that are the most "
    "likely ones. Δ nll: what a token of the right answers has lost, in nats; it tells smaller changes than right and "
    "wrong do."
)
FLOOR = "The reference against itself with its sums in another order: what is not above this is no difference."


class Done(NamedTuple):
    """One task of one arm."""

    row: MethodRow
    result: TaskResult


def rates(table: MethodsTable) -> Part[MethodRow] | None:
    """t/s of every test with its interval, and against the reference."""
    rows = [row for row in all_rows(table) if row.speeds]
    if not rows:
        return None

    def per_test(test: str) -> list[Column[MethodRow]]:
        def tps(row: MethodRow) -> Cell:
            speed = speed_of(row, test)
            return rate(speed) if speed else EMPTY

        def spread(row: MethodRow) -> Cell:
            speed = speed_of(row, test)
            return confidence(speed.ci95_tps) if speed else EMPTY

        def against(row: MethodRow) -> Cell:
            found = row.speedups.get(test)
            return confidence(found.ci95) if found else EMPTY

        name = plain(test)
        return [
            Column(name, "t/s", tps, 0),
            Column(f"{name} 95 %", "t/s", spread, 0),
            Column(f"{name} 95 %", "× reference", against, 0),
        ]

    columns = [*_named(), *filled([c for test in tests(rows) for c in per_test(test)], rows)]
    return Part("Rates", [], Table(columns, rows), [])


def tasks(table: MethodsTable) -> Part[Done] | None:
    """One line for each arm and task."""
    items = [Done(row, result) for row in all_rows(table) for result in row.tasks]
    if not items:
        return None

    def difference(done: Done) -> Cell:
        cell, value = estimate(done.result.difference.estimate, 100), done.result.difference.estimate.value
        worse = "worse" if value < 0 else "better"
        return cell._replace(word=worse if done.result.p_holm < SIGNIFICANT else "")

    def percent(pick: Callable[[TaskResult], float]) -> Callable[[Done], Cell]:
        return lambda done: Cell(fixed(100 * pick(done.result), 1), "", 100 * pick(done.result))

    columns = [
        Column[Done]("Arm", "", lambda done: text_cell(done.row.arm.name), 0, True),
        Column[Done]("Method", "", lambda done: text_cell(method_of(done.row)), 0, True),
        Column[Done]("Task", "", lambda done: text_cell(done.result.task), 0, True),
        Column[Done]("Group", "", lambda done: text_cell(done.result.group), 0, True),
        Column[Done]("Level", "", lambda done: Cell(f"{done.result.level}", "", done.result.level), 0),
        Column[Done]("Questions", "", lambda done: Cell(count(done.result.n_items), "", done.result.n_items), 0),
        Column[Done]("Right", "%", lambda done: estimate(done.result.accuracy, 100), 0),
        Column[Done]("Chance", "%", percent(lambda result: result.chance), 0),
        Column[Done]("Change", "points", difference, 0),
        Column[Done]("p", "", lambda done: number(done.result.p_holm, 2), 0),
        Column[Done]("Flips", "%", percent(lambda result: result.flips), 0),
        Column[Done]("Tokens", "%", percent(lambda result: result.token_accuracy), 0),
        Column[Done]("Δ nll", "nats", lambda done: estimate(done.result.nll_difference), 0),
    ]
    return Part("Every task", [TASKS], Table(columns, items), [])


def places(table: MethodsTable) -> Part[Done] | None:
    """Right answers by where in the context they stand."""
    items = [Done(row, result) for row in all_rows(table) for result in row.tasks if result.by_place]
    if not items:
        return None
    names = dict.fromkeys(name for done in items for name in done.result.by_place)

    def at(name: str) -> Callable[[Done], Cell]:
        return lambda done: estimate(done.result.by_place.get(name), 100)

    columns = [
        Column[Done]("Arm", "", lambda done: text_cell(done.row.arm.name), 0, True),
        Column[Done]("Task", "", lambda done: text_cell(done.result.task), 0, True),
        Column[Done]("Level", "", lambda done: Cell(f"{done.result.level}", "", done.result.level), 0),
        *(Column[Done](f"Depth {plain(name)}", "% right", at(name), 0) for name in names),
    ]
    return Part("By depth", [], Table(columns, items), [])


def floor(table: MethodsTable) -> Part[tuple[str, Quality]] | None:
    """The reference against itself, text by text."""
    if not table.floor:
        return None
    names = texts.labels(table)
    Line = tuple[str, Quality]
    columns = [
        Column[Line]("Text", "", lambda line: text_cell(line[0]), 0, True),
        Column[Line]("Domain", "", lambda line: text_cell(names.get(line[0], "")), 1, True),
        Column[Line]("KLD", "nats", lambda line: estimate(line[1].kld), 0),
        Column[Line]("KLD p99.9", "nats", lambda line: estimate(line[1].kld_p999), 2),
        Column[Line]("Top-1", "%", lambda line: estimate(line[1].top1, 100), 0),
        Column[Line]("PPL ratio", "", lambda line: estimate(line[1].ppl_ratio), 0),
        Column[Line]("PPL", "", lambda line: estimate(line[1].ppl), 3),
    ]
    return Part("Floor", [FLOOR], Table(columns, list(table.floor.items())), [])


def _named() -> list[Column[MethodRow]]:
    return [
        Column("Arm", "", lambda row: text_cell(row.arm.name), 0, True),
        Column("Method", "", lambda row: text_cell(method_of(row)), 0, True),
    ]
