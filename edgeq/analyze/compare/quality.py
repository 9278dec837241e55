"""Perplexity, divergence and agreement on both sides, token by token over the same text."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from edgeq import stats
from edgeq.analyze.compare.runs import Subject
from edgeq.records import Estimate, EvalRecord
from edgeq.records.compare import Change
from edgeq.stats.paired import Paired, block_means, paired_mean, paired_ratio

_PPL = Subject("ppl", "")
_KLD = Subject("kld", "nats")
_TOP1 = Subject("top1", "share")
_ONE_CHUNK = "one chunk of text says nothing of how much chunks differ"


def quality_changes(a: Sequence[EvalRecord], b: Sequence[EvalRecord]) -> tuple[Change, ...]:
    """KLD and top-1 agreement where both have them, and the perplexity."""
    if not a or not b:
        return ()
    pairs = [(x, y) for x in a for y in b]
    one, other = next((pair for pair in pairs if not _unlike(*pair)), pairs[0])
    reason = _unlike(one, other)
    found = [_ppl(one, other, reason)]
    if one.kld_f32 and other.kld_f32:
        found = [_kld(one, other, reason), _top1(one, other, reason), *found]
    return tuple(found)


def _unlike(a: EvalRecord, b: EvalRecord) -> str:
    """Why the tokens of two evaluations do not belong to each other; empty where they do.

    The number of threads decides in which order sums are formed, and no more.
    """
    if a.tokens_sha256 != b.tokens_sha256:
        return f"other text: {_text(a)} and {_text(b)}"
    if a.reference.sha256 != b.reference.sha256:
        return f"other reference: {_reference(a)} and {_reference(b)}"
    names = ("n_ctx", "first", "n_ubatch", "flash_attn")
    unequal = [n for n in names if getattr(a.settings, n) != getattr(b.settings, n)]
    if unequal:
        said = ", ".join(f"{n} {getattr(a.settings, n)} and {getattr(b.settings, n)}" for n in unequal)
        return f"other settings: {said}"
    return "" if a.n_tokens == b.n_tokens else f"{a.n_tokens} and {b.n_tokens} tokens were scored"


def _text(e: EvalRecord) -> str:
    names = " and ".join(c.name for c in e.corpus) or "a text without a name"
    return f"{names} ({e.n_tokens} tokens, {e.tokens_sha256[:8]})"


def _reference(e: EvalRecord) -> str:
    return f"{e.reference.file_type} {e.reference.sha256[:8]}"


def _kld(a: EvalRecord, b: EvalRecord, reason: str) -> Change:
    x, y = (np.frombuffer(e.kld_f32, "<f4").astype(np.float64) for e in (a, b))
    means = float(x.mean()), float(y.mean())
    if reason:
        return _KLD.not_comparable(*means, reason)
    found = paired_ratio(_chunks(a, x), _chunks(b, y))
    if not found:
        return _KLD.not_comparable(*means, "A has no divergence at all" if means[0] == 0 else _ONE_CHUNK)
    return _KLD.compared(*means, found.estimate, found.ci95, _basis(found))


def _top1(a: EvalRecord, b: EvalRecord, reason: str) -> Change:
    x, y = (np.frombuffer(e.same_top_u8, np.uint8).astype(np.float64) for e in (a, b))
    shares = float(x.mean()), float(y.mean())
    found = None if reason else paired_mean(_chunks(b, y - x))
    if not found:
        return _TOP1.not_comparable(*shares, reason or _ONE_CHUNK)
    return _TOP1.compared(*shares, found.estimate, found.ci95, _basis(found), 0.0)


def _ppl(a: EvalRecord, b: EvalRecord, reason: str) -> Change:
    x, y = (np.frombuffer(e.nll_f32, "<f4").astype(np.float64) for e in (a, b))
    values = stats.perplexity(x).value, stats.perplexity(y).value
    found = None if reason else paired_mean(_chunks(b, y - x))
    if not found:
        return _PPL.not_comparable(*values, reason or _ONE_CHUNK)
    ratio = math.exp(found.estimate.value)
    assert found.estimate.se is not None
    low, high = (math.exp(end) for end in found.ci95)
    return _PPL.compared(*values, Estimate(ratio, ratio * found.estimate.se), (low, high), _basis(found))


def _chunks(e: EvalRecord, values: stats.F64) -> stats.F64:
    """Means over the scored tokens of each chunk: those after ``first``, of which each predicts the next."""
    return block_means(values, e.settings.n_ctx - 1 - e.settings.first)


def _basis(found: Paired) -> str:
    return f"{found.n_blocks} chunks of the same text"
