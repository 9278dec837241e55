"""The columns of the headline table, the same for terminal, Markdown and HTML."""

from __future__ import annotations

from collections.abc import Callable

from edgeq.records import Estimate, Quality, Row, Speed, Summary
from edgeq.report import condition, energy, memory
from edgeq.report.figures import EMPTY, Cell, estimate, percent, size, size_unit
from edgeq.report.rows import devices, n_threads, on_front, ordered, plain, speed_of, tests
from edgeq.report.tables import Column, Table


def marks(summary: Summary, row: Row) -> list[str]:
    """Words that set a row apart."""
    words = ["reference"] if row.reference else []
    return [*words, "front"] if on_front(summary, row) else words


def unit_of_sizes(summary: Summary) -> tuple[int, str]:
    """Divisor and name of the unit for every size in the report."""
    return size_unit(max((row.n_bytes for row in summary.rows), default=0))


def identity(summary: Summary) -> list[Column[Row]]:
    """The columns that say which file it is: names and devices only where they tell rows apart."""
    rows = summary.rows
    by_device = len(devices(list(rows))) > 1
    by_threads = len({n for row in rows if (n := n_threads(row)) is not None}) > 1
    by_name = len({row.name for row in rows}) > 1 and any(row.name != row.file_type for row in rows)
    return [
        Column("File type", "", lambda row: Cell(plain(row.file_type)), 0, True),
        *([Column[Row]("Name", "", lambda row: Cell(plain(row.name)), 50, True)] if by_name else []),
        *([Column[Row]("Device", "", lambda row: Cell(plain(row.device)), 10, True)] if by_device else []),
        *([Column[Row]("Threads", "", _threads, 5)] if by_threads else []),
        Column("bpw", "", lambda row: Cell(f"{row.bpw:.2f}", "", row.bpw), 0),
    ]


def _threads(row: Row) -> Cell:
    n = n_threads(row)
    return EMPTY if n is None else Cell(f"{n}", "", n)


def headline(summary: Summary) -> Table[Row]:
    """One row for each file: what it is, how close to the reference, how fast, at what cost in energy and memory."""
    rows = ordered(summary)
    unit = unit_of_sizes(summary)
    columns = [
        *identity(summary),
        Column[Row]("Size", unit[1], lambda row: size(row.n_bytes, unit), 10),
        Column[Row]("On-label", "%", lambda row: percent(row.on_label), 90),
        *(_quality_columns() if any(row.quality for row in rows) else []),
        *(Column(plain(test), "t/s", _speed(test), _rank(test)) for test in tests(rows)),
        *energy.headline_columns(summary, lambda test: _rank(test) + 5),
        Column[Row]("RAM peak", f"{unit[1]} (RSS)", lambda row: size(memory.rss_peak(row), unit), 70),
        *(condition.columns(55) if condition.slowed(summary) else []),
    ]
    return Table(columns, rows, lambda row: marks(summary, row))


def _quality_columns() -> list[Column[Row]]:
    def of(pick: Callable[[Quality], Estimate | None], factor: float = 1.0) -> Callable[[Row], Cell]:
        return lambda row: estimate(pick(row.quality) if row.quality else None, factor)

    return [
        Column("KLD mean", "nats", of(lambda quality: quality.kld), 20),
        Column("KLD p99.9", "nats", of(lambda quality: quality.kld_p999), 100),
        Column("Top-1", "%", of(lambda quality: quality.top1, 100), 40),
        Column("PPL", "", of(lambda quality: quality.ppl), 60),
    ]


def _rank(test: str) -> int:
    return (80 if test.startswith("pp") else 30) + (30 if "@" in test else 0)


def _speed(test: str) -> Callable[[Row], Cell]:
    def cell(row: Row) -> Cell:
        speed = speed_of(row, test)
        return rate(speed) if speed else EMPTY

    return cell


def rate(speed: Speed) -> Cell:
    """Tokens per second; where the repetitions were not sound, what was wrong with them in place of an error."""
    if not speed.state:
        return estimate(speed.tps)
    word, others = plain(speed.state[0]), len(speed.state) - 1
    return estimate(Estimate(speed.tps.value))._replace(word=f"{word} +{others}" if others else word)
