"""How steadily a model generates, and how long it says what the reference says."""

from __future__ import annotations

import numpy as np

from edgeq.records import GenerationRecord, Stability
from edgeq.stats.continuations import Ids, common_prefix, distinct, ends_in_loop

PREFIXES = (32, 64, 128)


def stability(record: GenerationRecord, reference: GenerationRecord | None) -> Stability:
    """Of all continuations; against those of the reference where it was given the same prompts."""
    texts = _ids(record)
    same = reference is not None and _asked(reference) == _asked(record) and reference is not record
    prefixes = [common_prefix(a, b) for a, b in zip(texts, _ids(reference), strict=True)] if same and reference else []
    until = [float(n) if n < record.n_tokens else np.inf for n in prefixes]
    median = float(np.median(until)) if until else np.inf
    return Stability(
        deterministic=record.n_equal == record.n_repeats if record.n_repeats > 1 else None,
        n_prompts=record.n_prompts,
        n_tokens=record.n_tokens,
        first_divergence=median if np.isfinite(median) else None,
        same_prefix={
            str(n): float(np.mean([p >= n for p in prefixes])) for n in PREFIXES if prefixes and n <= record.n_tokens
        },
        loops=float(np.mean([ends_in_loop(text) for text in texts])),
        distinct3=float(np.mean([distinct(text, 3) for text in texts])),
    )


def _ids(record: GenerationRecord) -> Ids:
    return np.frombuffer(record.ids_i32, "<i4").reshape(record.n_prompts, record.n_tokens)


def _asked(record: GenerationRecord) -> tuple[str, int, int]:
    return record.prompts_sha256, record.n_prompts, record.n_tokens
