"""The columns of the headline table, the same for terminal, Markdown and HTML."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from edgeq.records import Estimate, Quality, Row, Summary
from edgeq.report.figures import Cell, estimate, percent, size, size_unit
from edgeq.report.rows import devices, on_front, ordered, plain, speed_of, tests


class Column(NamedTuple):
    """One column. ``rank`` 0 is kept on the narrowest screen, the highest is dropped first."""

    heading: str
    unit: str
    cell: Callable[[Row], Cell]
    rank: int
    is_text: bool = False

    @property
    def title(self) -> str:
        """Heading and unit on one line."""
        return f"{self.heading} {self.unit}".strip()


def marks(summary: Summary, row: Row) -> list[str]:
    """Words that set a row apart."""
    words = ["reference"] if row.reference else []
    return [*words, "front"] if on_front(summary, row) else words


def columns(summary: Summary) -> list[Column]:
    """Columns for ``summary``: names and devices only where they tell rows apart, one for each test."""
    rows = ordered(summary)
    unit = size_unit(max((row.n_bytes for row in rows), default=0))
    names = {row.name for row in rows}
    by_device = len(devices(rows)) > 1
    by_name = len(names) > 1 and any(row.name != row.file_type for row in rows)
    quality = _quality_columns() if any(row.quality for row in rows) else []
    return [
        Column("File type", "", lambda row: Cell(plain(row.file_type)), 0, True),
        *([Column("Name", "", lambda row: Cell(plain(row.name)), 5, True)] if by_name else []),
        *([Column("Device", "", lambda row: Cell(plain(row.device)), 1, True)] if by_device else []),
        Column("bpw", "", lambda row: Cell(f"{row.bpw:.2f}", "", row.bpw), 0),
        Column("Size", unit[1], lambda row: size(row.n_bytes, unit), 1),
        Column("On-label", "%", lambda row: percent(row.on_label), 9),
        *quality,
        *(_speed_column(test) for test in tests(rows)),
        Column("RAM peak", f"{unit[1]} (RSS)", lambda row: size(row.rss_peak_bytes, unit), 7),
    ]


def _quality_columns() -> list[Column]:
    def of(pick: Callable[[Quality], Estimate | None], factor: float = 1.0) -> Callable[[Row], Cell]:
        return lambda row: estimate(pick(row.quality) if row.quality else None, factor)

    return [
        Column("KLD mean", "nats", of(lambda quality: quality.kld), 2),
        Column("KLD p99.9", "nats", of(lambda quality: quality.kld_p999), 10),
        Column("Top-1", "%", of(lambda quality: quality.top1, 100), 4),
        Column("PPL", "", of(lambda quality: quality.ppl), 6),
    ]


def _speed_column(test: str) -> Column:
    def cell(row: Row) -> Cell:
        speed = speed_of(row, test)
        return estimate(speed.tps if speed else None)

    rank = (8 if test.startswith("pp") else 3) + (3 if "@" in test else 0)
    return Column(plain(test), "t/s", cell, rank)


def more_columns(summary: Summary) -> list[Column]:
    """What the headline table leaves out: the rest of quality, and latency. Only what some row has."""

    def quality(name: str, factor: float = 1.0) -> Callable[[Row], Cell]:
        return lambda row: estimate(getattr(row.quality, name) if row.quality else None, factor)

    def maximum(row: Row) -> Cell:
        worst = row.quality.kld_max if row.quality else None
        return estimate(Estimate(worst) if worst is not None else None)

    rows = ordered(summary)
    found = [
        Column("PPL ratio", "", quality("ppl_ratio"), 0),
        Column("KLD median", "nats", quality("kld_median"), 0),
        Column("KLD p99", "nats", quality("kld_p99"), 0),
        Column("KLD max", "nats", maximum, 0),
        Column("RMS Δp", "%", quality("rms_dp", 100), 0),
        *(column for test in tests(rows) for column in _latency_columns(test)),
        Column("Load", "s", lambda row: estimate(None if row.load_s is None else Estimate(row.load_s)), 0),
    ]
    return [column for column in found if any(column.cell(row).number is not None for row in rows)]


def _latency_columns(test: str) -> list[Column]:
    def ttft(row: Row) -> Cell:
        speed = speed_of(row, test)
        return estimate(speed.ttft_s if speed else None, 1000)

    def tpot(field: str) -> Callable[[Row], Cell]:
        def cell(row: Row) -> Cell:
            speed = speed_of(row, test)
            seconds: float | None = getattr(speed, field) if speed else None
            return estimate(None if seconds is None else Estimate(seconds), 1000)

        return cell

    percentiles = [Column(f"{plain(test)} TPOT p{p}", "ms", tpot(f"tpot_p{p}_s"), 0) for p in (50, 95, 99)]
    return [Column(f"{plain(test)} TTFT", "ms", ttft, 0), *percentiles]
