"""What a model loses against the reference, from per-token values; and which files nothing beats."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from edgeq import stats
from edgeq.records import EvalRecord, Quality, Row


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
