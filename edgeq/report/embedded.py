"""What the page carries inside: its plots, and the records as far as they fit, compressed."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from edgeq.records import SCHEMA, BenchRecord, EvalRecord, Summary

# Raw measurements hardly compress, and in base64 they grow by a third: with more than this the page gets heavy.
MOST_BYTES = 6_000_000
# What a time of a token takes in JSON, compressed.
TOKEN_BYTES = 5
NAME = "edgeq-records.json.gz"


class Kept(NamedTuple):
    """The records as they are embedded, and what was left out of them (empty: nothing)."""

    benches: list[BenchRecord]
    evals: list[EvalRecord]
    left_out: str


def fitting(benches: Sequence[BenchRecord], evals: Sequence[EvalRecord]) -> Kept:
    """All records where they are small enough; else without values of single tokens, then without traces."""
    if _weight(benches, evals) <= MOST_BYTES:
        return Kept(list(benches), list(evals), "")
    bare = [replace(e, nll_f32=b"", reference_nll_f32=b"", kld_f32=b"", same_top_u8=b"") for e in evals]
    if _weight(benches, bare) <= MOST_BYTES:
        return Kept(list(benches), bare, "values of single tokens")
    short = [replace(b, traces=(), phases=tuple(replace(phase, token_ns=None) for phase in b.phases)) for b in benches]
    return Kept(short, bare, "values and times of single tokens, and the traces of the sensors")


def _weight(benches: Sequence[BenchRecord], evals: Sequence[EvalRecord]) -> int:
    """About as many bytes as the measurements take when compressed."""
    traces = sum(len(trace.t_ns_i64) // 2 + len(trace.value_f64) // 2 for b in benches for trace in b.traces)
    tokens = sum(len(phase.token_ns or ()) for b in benches for phase in b.phases)
    scored = sum(len(e.nll_f32) + len(e.reference_nll_f32) // 4 + len(e.kld_f32) + len(e.same_top_u8) for e in evals)
    return traces + TOKEN_BYTES * tokens + scored


def records(summary: Summary, kept: Kept) -> bytes:
    """One JSON document, compressed, always the same for the same records."""
    whole = {
        "schema": SCHEMA,
        "kind": "Report",
        "left_out": kept.left_out,
        "summary": summary,
        "benches": kept.benches,
        "evals": kept.evals,
    }
    return packed(whole)


def packed(content: Any) -> bytes:
    """JSON, compressed."""
    return gzip.compress(msgspec.json.encode(content), 6, mtime=0)


def block(name: str, data: bytes) -> str:
    """An element that holds ``data`` and runs nothing."""
    return f'<script type="text/plain" id="{name}">{base64.b64encode(data).decode()}</script>'
