"""Weights off their old grid: random factors on channels that leave what the model computes as it was.

A file that was quantized before makes its own type look better than it is, as its weights lie on that type's grid.
Multiplied by a factor per channel they lie on none. The token embedding and the output head keep theirs: what they
read and write is the residual stream, which every block shares.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from edgeq.tensors.factors import Factors
from edgeq.tensors.families import Family

Floats = np.ndarray[Any, np.dtype[np.float32]]
SEED = 1
_LOWEST, _HIGHEST = 0.75, 1.33


def factors(family: Family) -> Factors:
    """Factors from 0.75 to 1.33, log-uniform, the same ones on every call."""
    found = Factors()
    for layer in range(family.n_layers):
        rng = np.random.default_rng((SEED, layer))
        for link in family.links(layer):
            found.add(link, _draw(rng, link.n_channels))
        if not family.qk_norm:
            heads = family.heads
            keys = _draw(rng, heads.kv_width // 2)[heads.rope_pairs()]
            for part in ("weight", "bias"):
                found.rows[family.name(layer, f"attn_k.{part}")] = np.reciprocal(keys)
                found.rows[family.name(layer, f"attn_q.{part}")] = keys[heads.kv_channels()]
    return found


def _draw(rng: np.random.Generator, n: int) -> Floats:
    return np.exp(rng.uniform(math.log(_LOWEST), math.log(_HIGHEST), n)).astype(np.float32)
