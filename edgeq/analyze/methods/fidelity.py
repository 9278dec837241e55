"""Divergence from the reference: by text, along a long context, and of one arm against another."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import msgspec
import numpy as np

from edgeq.analyze.methods.facts import ArmFacts
from edgeq.analyze.quality import quality
from edgeq.records import Estimate, EvalRecord, Figure, Quality
from edgeq.stats import F64
from edgeq.stats.chunks import chunk_error, chunk_quantile
from edgeq.stats.paired import Paired, block_means, paired_mean, paired_ratio

_QUARTERS = 4


def text_of(record: EvalRecord) -> str:
    """Name of the text that was scored."""
    return record.corpus[0].name if record.corpus else ""


def by_text(records: Iterable[EvalRecord]) -> dict[str, Quality]:
    """Quality by the name of the text."""
    return {text_of(record): chunked_quality(record) for record in records}


def chunked_quality(record: EvalRecord) -> Quality:
    """What ``quality`` gives, with standard errors over chunks of text instead of single tokens."""
    found, size, nll = quality(record), _size(record), _nll(record)
    ppl = _with(found.ppl, _times(chunk_error(nll, size), found.ppl.value))
    if found.kld is None or found.ppl_ratio is None or found.top1 is None or found.rms_dp is None:
        return msgspec.structs.replace(found, ppl=ppl)
    kld, reference = _kld(record), _reference_nll(record)
    top = np.frombuffer(record.same_top_u8, np.uint8).astype(np.float64)
    dp = np.exp(-nll) - np.exp(-reference)
    rms = found.rms_dp
    return msgspec.structs.replace(
        found,
        ppl=ppl,
        ppl_ratio=_with(found.ppl_ratio, _times(chunk_error(nll - reference, size), found.ppl_ratio.value)),
        kld=_with(found.kld, chunk_error(kld, size)),
        kld_median=chunk_quantile(kld, 0.5, size),
        kld_p99=chunk_quantile(kld, 0.99, size),
        kld_p999=chunk_quantile(kld, 0.999, size),
        top1=_with(found.top1, chunk_error(top, size)),
        rms_dp=_with(rms, _times(chunk_error(dp**2, size), 0.5 / rms.value) if rms.value else None),
    )


def mean_kld(facts: ArmFacts) -> float | None:
    """Over all tokens of all texts; None where there are none."""
    found = [_kld(record) for record in facts.evals if record.kld_f32]
    return float(np.concatenate(found).mean()) if found else None


def ppl_loss(facts: ArmFacts) -> tuple[Figure, int] | None:
    """(PPL over the reference's less 1, over the same chunks of all texts; number of chunks)."""
    chunks = [block_means(_nll(e) - _reference_nll(e), _size(e)) for e in facts.evals if e.kld_f32]
    found = paired_mean(np.concatenate(chunks)) if chunks else None
    if not found:
        return None
    ratio = math.exp(found.estimate.value)
    low, high = (math.exp(end) - 1 for end in found.ci95)
    return Figure(Estimate(ratio - 1, _times(found.estimate.se, ratio)), (low, high)), found.n_blocks


def kld_ratio(arm: ArmFacts, other: ArmFacts) -> tuple[Figure, int] | None:
    """(mean KLD of ``arm`` over that of ``other``, over the same chunks of all texts that both have; their number)."""
    pairs = list(_same_texts(arm, other))
    if not pairs:
        return None
    ours, theirs = (np.concatenate([block_means(_kld(e), _size(e)) for e in side]) for side in zip(*pairs, strict=True))
    found = paired_ratio(theirs, ours)
    return (_figure(found), found.n_blocks) if found else None


def late_kld_ratio(record: EvalRecord) -> Figure | None:
    """Mean KLD in the last quarter of each chunk's positions over that in the first. None for fewer than two chunks."""
    if not record.kld_f32:
        return None
    size = _size(record)
    kld = _kld(record)
    positions = kld[: len(kld) // size * size].reshape(-1, size)
    quarter = size // _QUARTERS
    if not quarter:
        return None
    found = paired_ratio(positions[:, :quarter].mean(1), positions[:, -quarter:].mean(1))
    return _figure(found) if found else None


def _same_texts(arm: ArmFacts, other: ArmFacts) -> Iterator[tuple[EvalRecord, EvalRecord]]:
    theirs = {_tokens(e): e for e in other.evals if e.kld_f32}
    for record in arm.evals:
        if record.kld_f32 and _tokens(record) in theirs:
            yield record, theirs[_tokens(record)]


def _tokens(record: EvalRecord) -> tuple[object, ...]:
    """Which tokens were scored, and how they were cut into chunks."""
    return record.tokens_sha256, record.settings.n_ctx, record.settings.first, record.n_tokens


def _size(record: EvalRecord) -> int:
    """Scored tokens of a chunk: those after ``first``, of which each predicts the next."""
    return record.settings.n_ctx - 1 - record.settings.first


def _nll(record: EvalRecord) -> F64:
    return np.frombuffer(record.nll_f32, "<f4").astype(np.float64)


def _reference_nll(record: EvalRecord) -> F64:
    return np.frombuffer(record.reference_nll_f32, "<f4").astype(np.float64)


def _kld(record: EvalRecord) -> F64:
    return np.frombuffer(record.kld_f32, "<f4").astype(np.float64)


def _figure(found: Paired) -> Figure:
    return Figure(found.estimate, found.ci95)


def _with(measured: Estimate, se: float | None) -> Estimate:
    return Estimate(measured.value, se)


def _times(error: float | None, factor: float) -> float | None:
    return None if error is None else error * factor
