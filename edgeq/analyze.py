"""Room: records to a summary. Pure: no clock, no disk, no process."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from edgeq import stats
from edgeq.records import (
    BenchRecord,
    Estimate,
    EvalRecord,
    Gguf,
    Note,
    Phase,
    Quality,
    Row,
    Speed,
    Summary,
)

_FLOATS = ("F32", "F16", "BF16")
# Below this share of on-label weights a file's name says little about what is in it.
_MOSTLY = 0.5
OFF_LABEL = "off-label"


def summarize(benches: Sequence[BenchRecord], evals: Sequence[EvalRecord], models: Sequence[Gguf] = ()) -> Summary:
    """One row per model and machine, with everything that the records say of it.

    ``models`` adds rows for files that were made and not measured. Reference rows come from the evaluations.
    """
    benches = sorted(benches, key=lambda b: (-b.model.bpw, b.model.sha256, b.host.cpu))
    evals = sorted(evals, key=lambda e: (-e.model.bpw, e.model.sha256))
    by_sha = {m.sha256: m for m in (*models, *(b.model for b in benches), *(e.model for e in evals))}
    reference = next((e.reference for e in evals), None)
    scored = {e.model.sha256: e for e in evals}
    rows = [
        _row(model, bench, scored.get(sha256), reference)
        for sha256, model in by_sha.items()
        for bench in _of(sha256, benches)
    ]
    rows.sort(key=lambda r: (not r.reference, -r.bpw, r.name))
    first_bench, first_eval = next(iter(benches), None), next(iter(evals), None)
    host = first_bench.host if first_bench else first_eval.host if first_eval else None
    build = first_bench.build if first_bench else first_eval.build if first_eval else None
    any_model = reference or next(iter(by_sha.values()), None)
    return Summary(
        title=any_model.name if any_model else "nothing measured",
        host=host,
        llama_commit=build.llama_commit if build else None,
        corpus=first_eval.corpus if first_eval else (),
        eval_settings=first_eval.settings if first_eval else None,
        bench_settings=first_bench.settings if first_bench else None,
        rows=tuple(rows),
        warnings=tuple(_warnings(rows, benches, evals, reference)),
        front=front(rows),
    )


def _of(sha256: str, benches: Sequence[BenchRecord]) -> list[BenchRecord] | list[None]:
    return [b for b in benches if b.model.sha256 == sha256] or [None]


def quality(record: EvalRecord) -> Quality:
    """PPL, KLD and agreement from the per-token values. KLD in nats; Δp is p(model) - p(reference)."""
    nll = np.frombuffer(record.nll_f32, "<f4").astype(np.float64)
    ppl = stats.perplexity(nll)
    if not record.kld_f32:
        return Quality(n_tokens=len(nll), ppl=ppl)
    reference = np.frombuffer(record.reference_nll_f32, "<f4").astype(np.float64)
    kld = np.frombuffer(record.kld_f32, "<f4").astype(np.float64)
    top = np.frombuffer(record.same_top_u8, np.uint8).astype(np.float64)
    return Quality(
        n_tokens=len(nll),
        ppl=ppl,
        ppl_ratio=stats.perplexity_ratio(nll, reference),
        kld=stats.mean(kld),
        kld_median=stats.quantile(kld, 0.5),
        kld_p99=stats.quantile(kld, 0.99),
        kld_p999=stats.quantile(kld, 0.999),
        kld_max=float(kld.max()),
        top1=stats.share(top),
        rms_dp=stats.root_mean_square(np.exp(-nll) - np.exp(-reference)),
    )


def speeds(record: BenchRecord) -> tuple[Speed, ...]:
    """One result per test. TTFT: from the prompt's start to its last token's logits; TPOT: single decode steps."""
    return tuple(
        _speed(test.name, timed)
        for test in record.settings.tests
        if (timed := [p for p in record.phases if p.test == test.name and p.kind in ("prefill", "decode")])
    )


def _speed(name: str, timed: list[Phase]) -> Speed:
    times = np.array([(p.t1_ns - p.t0_ns) / 1e9 for p in timed])
    tps = stats.rate(timed[0].n_tokens, times)
    if timed[0].kind == "prefill":
        return Speed(name, len(timed), tps, ttft_s=stats.mean(times))
    steps = np.concatenate([np.diff((0, *(p.token_ns or ()))) for p in timed]) / 1e9
    if not len(steps):
        return Speed(name, len(timed), tps)
    p50, p95, p99 = (float(np.quantile(steps, q)) for q in (0.5, 0.95, 0.99))
    return Speed(name, len(timed), tps, tpot_p50_s=p50, tpot_p95_s=p95, tpot_p99_s=p99)


def front(rows: Iterable[Row]) -> tuple[str, ...]:
    """SHA-256 of the files that no other file beats in both size and mean KLD."""
    measured = [(r.n_bytes, r.quality.kld.value, r.sha256) for r in rows if r.quality and r.quality.kld]
    best = float("inf")
    kept = []
    for _, kld, sha256 in sorted(measured):
        if kld < best:
            best = kld
            kept.append(sha256)
    return tuple(kept)


def _row(model: Gguf, bench: BenchRecord | None, evaluation: EvalRecord | None, reference: Gguf | None) -> Row:
    load = next((p for p in bench.phases if p.kind == "load"), None) if bench else None
    host = bench.host if bench else evaluation.host if evaluation else None
    return Row(
        name=_name(model),
        device=host.cpu if host else "",
        sha256=model.sha256,
        file_type=model.file_type,
        bpw=model.bpw,
        n_bytes=model.n_bytes,
        on_label=model.on_label,
        tensor_types={t: n / model.n_params for t, n in model.tensor_types.items()},
        imatrix=model.imatrix_sha256 is not None,
        reference=reference is not None and model.sha256 == reference.sha256,
        quality=quality(evaluation) if evaluation else None,
        speeds=speeds(bench) if bench else (),
        load_s=(load.t1_ns - load.t0_ns) / 1e9 if load else None,
        rss_peak_bytes=bench.rss_peak_bytes if bench else None,
        notes=tuple(_row_notes(model)),
    )


def _name(model: Gguf) -> str:
    return model.recipe.name if model.recipe else model.file_type


def _row_notes(model: Gguf) -> Iterable[Note]:
    if model.on_label is None or model.on_label >= _MOSTLY:
        return
    share = f"{model.on_label:.0%}" if model.on_label else "none"
    weights = {t: n / model.n_params for t, n in model.tensor_types.items() if t not in _FLOATS}
    most = sorted(weights, key=lambda t: -weights[t])[:3]
    found = ", ".join(f"{weights[t]:.0%} {t}" for t in most)
    yield Note(
        OFF_LABEL,
        f"{_name(model)}: {share} of its weights have the type that its name promises. It is {found}, and takes "
        f"{model.bpw:.2f} bits per parameter.",
    )


def _warnings(
    rows: Sequence[Row], benches: Sequence[BenchRecord], evals: Sequence[EvalRecord], reference: Gguf | None
) -> Iterable[Note]:
    if any(note.code == OFF_LABEL for row in rows for note in row.notes):
        yield Note(
            "odd-rows",
            "K- and IQ-types need rows that are multiples of 256 values; for other rows llama.cpp uses other types.",
            "Compare such files by bpw, not by name.",
        )
    if reference and (reference.requantized or any(t not in _FLOATS for t in reference.tensor_types)):
        yield Note(
            "requantized",
            f"The reference ({reference.file_type}) was quantized before: every quality figure here is against "
            "weights that already sit on a grid, which makes types on the same grid look better than they are.",
            "Compare against the F16 or BF16 model.",
        )
    if evals and evals[0].n_tokens < 2000:
        yield Note(
            "few-tokens",
            f"Only {evals[0].n_tokens} tokens were scored: the standard errors are large.",
            "Use a longer text or more --chunks.",
        )
    if len({e.tokens_sha256 for e in evals}) > 1 or len({e.reference.sha256 for e in evals}) > 1:
        yield Note("mixed-evals", "The quality figures are not all over the same tokens and reference.")
    if len({b.build.key for b in benches}) > 1:
        yield Note("mixed-builds", "The speeds are not all from the same build of llama.cpp.")
    if len({b.host.cpu for b in benches}) > 1:
        yield Note("mixed-hosts", "The speeds are from different machines.")
    if unsteady := [_name(b.model) for b in benches if any(_unsteady(s) for s in speeds(b))]:
        yield Note(
            "unsteady",
            f"The speed of {', '.join(unsteady)} varied: its standard error is above 5 %.",
            "Close other programs, let the device cool, and use more --reps.",
        )
    yield from {n.code: n for b in benches for n in b.missing}.values()


def _unsteady(speed: Speed) -> bool:
    tps: Estimate = speed.tps
    return tps.se is not None and tps.se > 0.05 * tps.value
