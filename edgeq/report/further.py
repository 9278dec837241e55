"""The columns that the headline table leaves out."""

from __future__ import annotations

from collections.abc import Callable

from edgeq.records import Estimate, Row, Speed, Summary
from edgeq.report import condition, memory
from edgeq.report.columns import identity, marks, unit_of_sizes
from edgeq.report.figures import EMPTY, Cell, estimate, interval
from edgeq.report.rows import ordered, plain, speed_of, tests
from edgeq.report.tables import Column, Table, filled, text_cell


def further(summary: Summary) -> Table[Row] | None:
    """The rest of quality, speed, memory and the device's condition, what some row has; ``None`` without any."""
    rows = ordered(summary)
    columns = [
        *_quality_columns(),
        *(column for test in tests(rows) for column in _speed_columns(test)),
        *memory.columns(summary, unit_of_sizes(summary)),
        *condition.further_columns(),
        Column[Row]("Load", "s", lambda row: estimate(None if row.load_s is None else Estimate(row.load_s)), 0),
    ]
    found = filled(columns, rows)
    return Table([*identity(summary), *found], rows, lambda row: marks(summary, row)) if found else None


def _quality_columns() -> list[Column[Row]]:
    def quality(name: str, factor: float = 1.0) -> Callable[[Row], Cell]:
        return lambda row: estimate(getattr(row.quality, name) if row.quality else None, factor)

    def maximum(row: Row) -> Cell:
        worst = row.quality.kld_max if row.quality else None
        return estimate(Estimate(worst) if worst is not None else None)

    return [
        Column("PPL ratio", "", quality("ppl_ratio"), 0),
        Column("KLD median", "nats", quality("kld_median"), 0),
        Column("KLD p99", "nats", quality("kld_p99"), 0),
        Column("KLD max", "nats", maximum, 0),
        Column("RMS Δp", "%", quality("rms_dp", 100), 0),
    ]


def _speed_columns(test: str) -> list[Column[Row]]:
    def of(pick: Callable[[Speed], Cell]) -> Callable[[Row], Cell]:
        def cell(row: Row) -> Cell:
            speed = speed_of(row, test)
            return pick(speed) if speed else EMPTY

        return cell

    def ttft(speed: Speed) -> Cell:
        return estimate(Estimate(speed.ttft_s.value) if speed.ttft_s and speed.state else speed.ttft_s, 1000)

    def tpot(field: str) -> Callable[[Speed], Cell]:
        def cell(speed: Speed) -> Cell:
            seconds: float | None = getattr(speed, field)
            return estimate(None if seconds is None else Estimate(seconds), 1000)

        return cell

    def confidence(speed: Speed) -> Cell:
        return EMPTY if speed.state else interval(speed.ci95_tps)

    name = plain(test)
    return [
        Column(f"{name} 95 %", "t/s", of(confidence), 0),
        Column(f"{name} repetitions", "", of(lambda speed: text_cell(", ".join(speed.state))), 0, True),
        Column(f"{name} TTFT", "ms", of(ttft), 0),
        *(Column(f"{name} TPOT p{p}", "ms", of(tpot(f"tpot_p{p}_s")), 0) for p in (50, 95, 99)),
    ]
