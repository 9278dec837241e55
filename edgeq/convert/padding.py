"""Zeros at the end of rows, so that types with blocks of 256 apply to any width. The model computes the same.

Heads keep their width, and there are more of them: zero keys, queries and values. A norm over more values, all of
them zero, has a smaller mean square, which its weight and epsilon make up for:
x·w / sqrt(mean + ε) = x·w·sqrt(n/m) / sqrt(mean·n/m + ε·n/m), for n values and m - n zeros.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeq.tensors.factors import Factors
from edgeq.tensors.families import Family, Heads
from edgeq.tensors.refused import Refused

Indices = np.ndarray[Any, np.dtype[np.int64]]
_EPSILON = "attention.layer_norm_rms_epsilon"


@dataclass(frozen=True)
class Padding:
    """``sizes`` of the padded model by kind of dimension, and for each the ``places`` that its channels get."""

    sizes: dict[str, int]
    places: dict[str, Indices]
    metadata: dict[str, int | float]


def padding(family: Family, multiple: int, epsilon: float) -> Padding | None:
    """How to make all rows of a model multiples of ``multiple``; None where they are. Raises Refused."""
    old = family.heads
    new = _heads(old, multiple)
    n_embd, n_ff = new.width if family.square else _up(family.n_embd, multiple), _up(family.n_ff, multiple)
    if (n_embd, new, n_ff) == (family.n_embd, old, family.n_ff):
        return None
    in_heads = np.arange(new.width).reshape(new.n_kv, new.group, new.dim)[: old.n_kv, : old.group].reshape(-1)
    counts: dict[str, int | float] = {
        "embedding_length": n_embd,
        "feed_forward_length": n_ff,
        "attention.head_count": new.n,
        "attention.head_count_kv": new.n_kv,
        "attention.key_length": new.dim,
        "attention.value_length": new.dim,
        _EPSILON: epsilon * family.n_embd / n_embd,
    }
    return Padding(
        sizes={"embd": n_embd, "heads": new.width, "kv": new.kv_width, "ff": n_ff},
        places={kind: np.arange(size) for kind, size in family.sizes.items()} | {"heads": in_heads},
        metadata={f"{family.arch}.{key}": value for key, value in counts.items()},
    )


def correct_norms(factors: Factors, family: Family, n_embd: int) -> None:
    """Multiply what makes up for the mean over ``n_embd`` values instead of the model's own number.

    Norms of queries and keys have the same epsilon and no more values: there, rows before the norm make up for it.
    """
    scale = np.float32(math.sqrt(family.n_embd / n_embd))
    in_block = ["attn_norm.weight", "ffn_norm.weight"]
    if family.qk_norm:
        in_block += ["attn_q.weight", "attn_q.bias", "attn_k.weight", "attn_k.bias"]
    for name in ["output_norm.weight", *(family.name(i, n) for i in range(family.n_layers) for n in in_block)]:
        n_rows = family.sizes[family.axes(name)[-1]]
        factors.rows[name] = factors.rows.get(name, np.ones(n_rows, np.float32)) * scale


def _up(n: int, multiple: int) -> int:
    return -(-n // multiple) * multiple


def _heads(old: Heads, multiple: int) -> Heads:
    """The fewest heads that fill rows of ``multiple``; of these, as many for each KV head as before if that can be."""
    for width in range(_up(old.width, multiple), _up(2 * old.width, multiple) + 1, multiple):
        n, rest = divmod(width, old.dim)
        fits = [kv for kv in range(old.n_kv, n + 1) if n % kv == 0 and n // kv >= old.group]
        if not rest and fits:
            kv = min(fits, key=lambda kv: (n // kv != old.group, kv))
            return Heads(n, kv, old.dim, old.neighbors)
    raise Refused(
        f"Rows can't be padded to a multiple of {multiple}: {old.n} heads of {old.dim} values, {old.n_kv} of them KV "
        "heads, would have to become more than twice as many."
    )
