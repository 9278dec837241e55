"""In what condition the device was while it was measured: throttled, how hot, disturbed by the sampling."""

from __future__ import annotations

from edgeq.records import Row, Summary
from edgeq.report.figures import Cell, number, percent, significant
from edgeq.report.rows import ordered, sentence
from edgeq.report.subjects import files
from edgeq.report.tables import Column, text_cell

SLOWED = ("confirmed", "suspected")


def columns(rank: int) -> list[Column[Row]]:
    """Throttling verdict and highest temperature."""
    return [
        Column("Throttling", "", lambda row: text_cell(row.throttling.verdict if row.throttling else ""), rank, True),
        Column("Hottest", "°C", lambda row: number(row.temperature_max_c), rank + 10),
    ]


def further_columns() -> list[Column[Row]]:
    """The same, with how much of the time it was and what the verdict rests on."""

    def share(row: Row) -> Cell:
        return percent(row.throttling.share if row.throttling else None)

    def reason(row: Row) -> Cell:
        return text_cell(row.throttling.reason if row.throttling else "")

    verdict, hottest = columns(0)
    return [
        hottest,
        verdict,
        Column("Throttled", "% of time", share, 0),
        Column("Throttling reason", "", reason, 0, True, True),
    ]


def slowed(summary: Summary) -> bool:
    """Whether any row was measured on a device that slowed itself down, or may have."""
    return any(row.throttling and row.throttling.verdict in SLOWED for row in summary.rows)


def remarks(summary: Summary, verdicts: tuple[str, ...]) -> list[str]:
    """Sentences on the rows with one of these verdicts, each reason once."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in ordered(summary):
        if row.throttling and row.throttling.verdict in verdicts:
            found.setdefault((row.throttling.verdict, row.throttling.reason), []).append(row)
    return [sentence(_remark(summary, verdict, reason, rows)) for (verdict, reason), rows in found.items()]


def _remark(summary: Summary, verdict: str, reason: str, rows: list[Row]) -> str:
    because = f": {reason}" if reason else ""
    if verdict == "unknown":
        return f"Whether the device slowed itself down is unknown for {files(summary, rows)}{because}"
    if verdict == "none":
        return f"Watched, and none found, for {files(summary, rows)}{because}"
    shares = [row.throttling.share for row in rows if row.throttling and row.throttling.share is not None]
    ends = list(dict.fromkeys(str(percent(share)) for share in (min(shares), max(shares)))) if shares else []
    extent = f" during {' to '.join(ends)} % of the timed phases" if shares else ""
    return f"Throttling {verdict} for {files(summary, rows)}{extent}{because}"


def sampling(summary: Summary) -> str:
    """What reading the sensors cost the device."""
    shares = sorted(row.sampler_share for row in summary.rows if row.sampler_share is not None)
    if not shares:
        return ""
    ends = list(dict.fromkeys(significant(share * 100, 2) for share in (shares[0], shares[-1])))
    return f"Reading the sensors took {' to '.join(ends)} % of one core"
