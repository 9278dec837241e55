"""Memory, in the numbers that differ."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from edgeq.records import Row, Summary
from edgeq.report.figures import Cell, size
from edgeq.report.rows import ordered, plain, prefill_first
from edgeq.report.tables import Column


class Kind(NamedTuple):
    """One number of ``records.Memory``: its field, heading, and meaning."""

    field: str
    heading: str
    meaning: str


KINDS = (
    Kind(
        "anon_peak_bytes",
        "Anonymous peak",
        "Memory that can't be given back, at its peak: heap, repacked weights, KV cache. The least that the model "
        "needs.",
    ),
    Kind(
        "mapped_peak_bytes",
        "Mapped peak",
        "Pages of the model's file that were in RAM, at their peak. The system may drop them and read them again, "
        "which is slow.",
    ),
    Kind(
        "available_drop_bytes",
        "Available drop",
        "By how much the memory that the whole machine had left fell while the model was measured.",
    ),
    Kind(
        "cgroup_peak_bytes",
        "cgroup peak",
        "Peak of the control group that the program ran in, cached files included: what a container's limit counts.",
    ),
    Kind(
        "vram_peak_bytes",
        "VRAM peak",
        "Memory on the graphics card, at its peak; “-” where the GPU shares the RAM.",
    ),
)  # fmt: skip
KV = ("KV", "Memory of the context (KV cache) that llama.cpp allocated for a test. It is part of the peaks.")


def rss_peak(row: Row) -> int | None:
    """The process's high-water mark in bytes."""
    return row.rss_peak_bytes if row.rss_peak_bytes is not None or not row.memory else row.memory.rss_peak_bytes


def tests(rows: list[Row]) -> list[str]:
    """Names of the tests whose KV cache is known."""
    return prefill_first(test for row in rows if row.memory for test in row.memory.kv_bytes)


def value(row: Row, field: str) -> int | None:
    """One of the numbers in bytes, ``None`` where it was not measured."""
    found: int | None = getattr(row.memory, field) if row.memory else None
    return found


def kv(row: Row, test: str) -> int | None:
    """The context's memory in bytes."""
    return row.memory.kv_bytes.get(test) if row.memory else None


def columns(summary: Summary, unit: tuple[int, str]) -> list[Column[Row]]:
    """One column for each number."""
    rows = ordered(summary)

    def of(field: str) -> Callable[[Row], Cell]:
        return lambda row: size(value(row, field), unit)

    def of_test(test: str) -> Callable[[Row], Cell]:
        return lambda row: size(kv(row, test), unit)

    return [
        *(Column(kind.heading, unit[1], of(kind.field), 0) for kind in KINDS),
        *(Column(f"{plain(test)} KV", unit[1], of_test(test), 0) for test in tests(rows)),
    ]


def terms(summary: Summary) -> list[tuple[str, str]]:
    """What the numbers mean that this summary has."""
    rows = list(summary.rows)
    found = [(k.heading, k.meaning) for k in KINDS if any(value(row, k.field) is not None for row in rows)]
    return [*found, KV] if tests(rows) else found
