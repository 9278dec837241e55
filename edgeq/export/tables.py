"""What was measured as flat tables that refer to each other by a file's SHA-256, units in the columns' names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from edgeq.records import BenchRecord, Energy, Estimate, Quality, Row, Speed, Summary

Value = str | int | float | bool | None

_IN_NATS = ("kld", "kld_median", "kld_p99", "kld_p999")
_ESTIMATES = ("ppl", "ppl_ratio", *_IN_NATS, "top1", "rms_dp")
_MEMORY = ("anon_peak_bytes", "mapped_peak_bytes", "available_drop_bytes", "cgroup_peak_bytes", "vram_peak_bytes")


class Table(msgspec.Struct, frozen=True):
    """One table: ``columns`` maps a name to the type of its values, all of which may be None (not measured)."""

    name: str
    columns: dict[str, type]
    rows: tuple[tuple[Value, ...], ...]


def tables(summary: Summary, benches: Sequence[BenchRecord], *, tokens: bool = False) -> tuple[Table, ...]:
    """rows, speeds, energies, repetitions (one line per timed phase) and, if asked for, tokens (one per decode step).

    Times in s, rates in tokens/s, energies in J, powers in W, sizes in bytes, shares of 1, KLD in nats.
    """
    found = [
        _table("rows", _ROWS, (_row(summary, r) for r in summary.rows)),
        _table("speeds", _SPEEDS, (_speed(r, s) for r in summary.rows for s in r.speeds)),
        _table("energies", _ENERGIES, (_energy(r, e) for r in summary.rows for e in r.energies)),
        _table("repetitions", _REPETITIONS, (line for b in benches for line in _repetitions(b))),
    ]
    if tokens:
        found.append(_table("tokens", _TOKENS, (line for b in benches for line in _tokens(b))))
    return tuple(found)


def _table(name: str, columns: dict[str, type], rows: Iterable[tuple[Value, ...]]) -> Table:
    return Table(name, columns, tuple(rows))


def _pairs(names: Iterable[str], unit: str = "") -> dict[str, type]:
    return {column: float for name in names for column in (f"{name}{unit}", f"{name}_se{unit}")}


def _estimate(e: Estimate | None) -> tuple[float | None, float | None]:
    return (e.value, e.se) if e else (None, None)


_QUALITY: dict[str, type] = {
    "scored_tokens": int,
    **_pairs(["ppl", "ppl_ratio"]),
    **_pairs(_IN_NATS, "_nats"),
    **_pairs(["top1", "rms_dp"]),
    "kld_max_nats": float,
}
_ROWS: dict[str, type] = {
    **{"sha256": str, "name": str, "device": str, "file_type": str, "bpw": float, "size_bytes": int},
    **{"on_label_share": float, "imatrix": bool, "reference": bool, "front": bool},
    **_QUALITY,
    **{"load_s": float, "rss_peak_bytes": int, **dict.fromkeys(_MEMORY, int)},
    **{"temperature_max_c": float, "throttling": str, "sampler_share_of_core": float},
    **{"backend": str, "build": str, "llama_commit": str, "power_mode": str, "n_threads": int, "n_batch": int},
    **{"n_ubatch": int, "n_gpu_layers": int, "flash_attn": str, "type_k": str, "type_v": str, "tokens_sha256": str},
    "notes": str,
}
_SPEEDS: dict[str, type] = {
    **{"sha256": str, "device": str, "test": str, "n_reps": int},
    **_pairs(["rate"], "_tps"),
    **{"rate_ci95_low_tps": float, "rate_ci95_high_tps": float},
    **_pairs(["ttft"], "_s"),
    **dict.fromkeys(("tpot_p50_s", "tpot_p95_s", "tpot_p99_s"), float),
    "state": str,
}
_ENERGIES: dict[str, type] = {
    **{"sha256": str, "device": str, "test": str, "scope": str, "source": str, "estimated": bool, "headline": bool},
    **{"n_tokens": int, "window_s": float},
    **_pairs(["gross", "net"], "_j_per_token"),
    **_pairs(["mean"], "_w"),
    "max_w": float,
    **_pairs(["idle", "loaded_idle"], "_w"),
    "missing": str,
}
_REPETITIONS: dict[str, type] = {
    **{"sha256": str, "cpu": str, "build": str, "turn": int, "test": str, "rep": int, "kind": str},
    **{"n_tokens": int, "seconds": float},
}
_TOKENS: dict[str, type] = {
    **{"sha256": str, "cpu": str, "build": str, "turn": int, "test": str, "rep": int, "token": int},
    "seconds": float,
}


def _row(summary: Summary, r: Row) -> tuple[Value, ...]:
    s = r.settings
    settings: tuple[Value, ...] = (None,) * 7
    if s:
        settings = (s.n_threads, s.n_batch, s.n_ubatch, s.n_gpu_layers, s.flash_attn, s.type_k, s.type_v)
    return (
        *(r.sha256, r.name, r.device, r.file_type, r.bpw, r.n_bytes, r.on_label, r.imatrix, r.reference),
        r.sha256 in summary.front,
        *_quality(r.quality),
        *(r.load_s, r.rss_peak_bytes, *(getattr(r.memory, name) if r.memory else None for name in _MEMORY)),
        *(r.temperature_max_c, r.throttling.verdict if r.throttling else None, r.sampler_share),
        *(r.backend, r.build, summary.llama_commit, r.power_mode, *settings, r.tokens_sha256),
        " ".join(f"{n.text} {n.hint}".strip() for n in r.notes),
    )


def _quality(q: Quality | None) -> tuple[Value, ...]:
    if q is None:
        return (None,) * len(_QUALITY)
    return (q.n_tokens, *(v for name in _ESTIMATES for v in _estimate(getattr(q, name))), q.kld_max)


def _speed(r: Row, s: Speed) -> tuple[Value, ...]:
    low, high = s.ci95_tps or (None, None)
    steps = (s.tpot_p50_s, s.tpot_p95_s, s.tpot_p99_s)
    head = (r.sha256, r.device, s.test, s.n_reps)
    return (*head, *_estimate(s.tps), low, high, *_estimate(s.ttft_s), *steps, ", ".join(s.state))


def _energy(r: Row, e: Energy) -> tuple[Value, ...]:
    return (
        *(r.sha256, r.device, e.test, e.scope, e.source, e.estimated, e.headline, e.n_tokens, e.window_s),
        *(*_estimate(e.gross_j_per_token), *_estimate(e.net_j_per_token), *_estimate(e.mean_w), e.max_w),
        *(*_estimate(e.idle_w), *_estimate(e.loaded_idle_w), e.missing),
    )


def _repetitions(b: BenchRecord) -> Iterator[tuple[Value, ...]]:
    for p in b.phases:
        if p.timed:
            seconds = (p.t1_ns - p.t0_ns) / 1e9
            yield (*_measured(b), p.test, p.rep, p.kind, p.n_tokens, seconds)


def _tokens(b: BenchRecord) -> Iterator[tuple[Value, ...]]:
    """The time that each decode step took, counted from 0 within its repetition."""
    for p in b.phases:
        ends = p.token_ns if p.timed and p.token_ns else ()
        for i, (begun, ended) in enumerate(zip((0, *ends), ends, strict=False)):
            yield (*_measured(b), p.test, p.rep, i, (ended - begun) / 1e9)


def _measured(b: BenchRecord) -> tuple[Value, ...]:
    return (b.model.sha256, b.host.cpu, b.build.key, b.turn)
