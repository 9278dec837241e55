"""The report as CSV: every number, unrounded, in SI base units, one line for each model on each device."""

from __future__ import annotations

import csv as stdlib
import io

from edgeq.records import Estimate, Quality, Row, Speed, Summary
from edgeq.report import memory
from edgeq.report.flat import Flat, Value, consumption, device, pair, steadiness
from edgeq.report.rows import n_threads, notes, on_front, ordered, plain, shares, speed_of, tests

QUALITY = ("ppl", "ppl_ratio", "kld", "kld_median", "kld_p99", "kld_p999", "top1", "rms_dp")
IN_NATS = ("kld", "kld_median", "kld_p99", "kld_p999")


def csv(summary: Summary) -> str:
    """A header and one line per row. What was not measured is an empty cell, so that columns stay numeric.

    Text that a spreadsheet would run as a formula is preceded by an apostrophe.
    """
    rows = ordered(summary)
    names = tests(rows)
    types = sorted({name for row in rows for name, _ in shares(row)})
    table = [_flat(summary, row, names, types) for row in rows]
    out = io.StringIO()
    writer = stdlib.writer(out, lineterminator="\n")
    header = table[0] if table else _flat(summary, None, names, types)
    writer.writerow([safe(name) for name in header])
    writer.writerows([[_cell(value) for value in line.values()] for line in table])
    return out.getvalue()


def safe(text: str) -> str:
    """``text`` on one line that no spreadsheet takes for a formula."""
    text = plain(text)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def _cell(value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return safe(value) if isinstance(value, str) else repr(value)


def _flat(summary: Summary, row: Row | None, names: list[str], types: list[str]) -> Flat:
    """Column names and values. Without a row, only the names matter."""
    of_types = dict(shares(row)) if row else {}
    flat: Flat = {
        "name": row.name if row else None,
        "device": row.device if row else None,
        "n_threads": n_threads(row) if row else None,
        "backend": row.backend if row else None,
        "build": row.build if row else None,
        "cpu": summary.host.cpu if summary.host else None,
        "llama_commit": summary.llama_commit,
        "sha256": row.sha256 if row else None,
        "file_type": row.file_type if row else None,
        "reference": row.reference if row else None,
        "front": on_front(summary, row) if row else None,
        "imatrix": row.imatrix if row else None,
        "bpw": row.bpw if row else None,
        "size_bytes": row.n_bytes if row else None,
        "on_label_share": row.on_label if row else None,
    }
    flat |= _quality(row.quality if row else None)
    for name in names:
        speed = speed_of(row, name) if row else None
        flat |= _speed(name, speed) | steadiness(summary, name, speed)
    flat |= consumption(summary, row) if row else {}
    flat["load_s"] = row.load_s if row else None
    flat["rss_peak_bytes"] = memory.rss_peak(row) if row else None
    flat |= device(summary, row) if row else {}
    flat |= {f"{name}_share": of_types.get(name, 0.0) for name in types}
    own = notes(_only(row)) if row else []
    flat["notes"] = " ".join(f"{text} {hint}".strip() for text, hint in own)
    return flat


def _only(row: Row) -> Summary:
    """A summary with nothing but ``row``, to get its own notes."""
    return Summary("", None, None, (), None, None, (row,), (), ())


def _quality(quality: Quality | None) -> Flat:
    flat: Flat = {"scored_tokens": quality.n_tokens if quality else None}
    for name in QUALITY:
        measured: Estimate | None = getattr(quality, name) if quality else None
        flat |= pair(name, "_nats" if name in IN_NATS else "", measured)
    flat["kld_max_nats"] = quality.kld_max if quality else None
    return flat


def _speed(test: str, speed: Speed | None) -> Flat:
    flat = pair(test, "_tps", speed.tps if speed else None)
    flat |= pair(f"{test}_ttft", "_s", speed.ttft_s if speed else None)
    for name in ("tpot_p50_s", "tpot_p95_s", "tpot_p99_s"):
        flat[f"{test}_{name}"] = getattr(speed, name) if speed else None
    flat[f"{test}_n_reps"] = speed.n_reps if speed else None
    return flat
