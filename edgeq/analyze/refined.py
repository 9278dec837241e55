"""Refined files against the same files as the encoder made them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from edgeq.analyze.methods.fidelity import text_of
from edgeq.records import Estimate, EvalRecord, Figure, Gguf, RefinedPair
from edgeq.stats.paired import block_means, paired_ratio


def refined_pairs(evals: Sequence[EvalRecord]) -> tuple[RefinedPair, ...]:
    """One for each text and each refined file whose counterpart was scored on the same tokens."""
    scored = [e for e in evals if e.kld_f32]
    plain = {_paired_by(e): e for e in scored if not _is_refined(e.model)}
    pairs = ((e, plain.get(_paired_by(e))) for e in scored if _is_refined(e.model))
    return tuple(_pair(ours, theirs) for ours, theirs in pairs if theirs)


def kld_over(ours: EvalRecord, theirs: EvalRecord) -> Figure:
    """Mean KLD of one file over that of another on the same tokens, paired by chunk."""
    size = ours.settings.n_ctx - 1 - ours.settings.first
    a, b = (block_means(np.frombuffer(e.kld_f32, "<f4").astype(np.float64), size) for e in (theirs, ours))
    found = paired_ratio(a, b)
    if found is None:
        return Figure(Estimate(float(b.mean() / a.mean())))
    return Figure(found.estimate, found.ci95)


def _pair(ours: EvalRecord, theirs: EvalRecord) -> RefinedPair:
    found = kld_over(ours, theirs)
    low, high = found.ci95 or (0.0, float("inf"))
    return RefinedPair(
        refined_sha256=ours.model.sha256,
        stock_sha256=theirs.model.sha256,
        text=text_of(ours),
        ratio=found.estimate,
        ci95=found.ci95,
        verdict="better" if high < 1 else "worse" if low > 1 else "no better",
    )


def _is_refined(model: Gguf) -> bool:
    return model.refined is not None


def _paired_by(record: EvalRecord) -> tuple[object, ...]:
    """What a refined file's record and its counterpart's have in common."""
    model = record.model
    recipe = model.recipe and msgspec.structs.replace(model.recipe, name="", refine=False)
    return msgspec.json.encode(recipe), model.parent_sha256, model.imatrix_sha256, record.tokens_sha256
