"""Which tensors of a block belong together: where channels can be rescaled and the model still computes the same.

Graphs of llama.cpp 0c1e570 (src/models/llama.cpp, qwen2.cpp, qwen3.cpp); its names in metadata and tensors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeq import gguf_info
from edgeq.tensors.refused import Refused
from edgeq.tensors.source import Source

Floats = np.ndarray[Any, np.dtype[np.float32]]
Indices = np.ndarray[Any, np.dtype[np.int64]]

# The pairs of head values that RoPE rotates together (llama_model_rope_type): whether they are neighbors (NORM), or
# half a head apart (NEOX).
_NEIGHBORS = {"llama": True, "qwen2": False, "qwen3": False}
_SQUARE = ("qwen2",)  # attn_output is loaded as (n_embd, n_embd), however many heads there are
# What each dimension of a tensor counts, columns first; "" is neither rescaled nor padded: vocabulary, head values.
_TOP = {
    "token_embd.weight": ("embd", ""),
    "output_norm.weight": ("embd",),
    "output.weight": ("embd", ""),
    "output.bias": ("",),
    "rope_freqs.weight": ("",),
    "rope_factors_long.weight": ("",),
    "rope_factors_short.weight": ("",),
}
_MATRICES = {
    "attn_q": ("embd", "heads"),
    "attn_k": ("embd", "kv"),
    "attn_v": ("embd", "kv"),
    "attn_output": ("heads", "embd"),
    "ffn_gate": ("embd", "ff"),
    "ffn_up": ("embd", "ff"),
    "ffn_down": ("ff", "embd"),
}
_NORMS = {"attn_norm": ("embd",), "ffn_norm": ("embd",)}
_QK_NORMS = {"attn_q_norm": ("",), "attn_k_norm": ("",)}


@dataclass(frozen=True)
class Heads:
    """``n`` query heads of ``dim`` values; ``n // n_kv`` of them in a row read one KV head."""

    n: int
    n_kv: int
    dim: int
    neighbors: bool

    @property
    def group(self) -> int:
        """Query heads per KV head."""
        return self.n // self.n_kv

    @property
    def width(self) -> int:
        """Values of all query heads: rows of attn_q, columns of attn_output."""
        return self.n * self.dim

    @property
    def kv_width(self) -> int:
        """Values of all KV heads: rows of attn_k and of attn_v."""
        return self.n_kv * self.dim

    def kv_channels(self) -> Indices:
        """For each value of the query heads, the value of the KV heads that lies in its place, (width,)."""
        channels = np.arange(self.kv_width).reshape(self.n_kv, 1, self.dim)
        return channels.repeat(self.group, axis=1).reshape(-1)

    def rope_pairs(self) -> Indices:
        """For each value of the KV heads, the number of its RoPE pair among ``kv_width // 2``, (kv_width,)."""
        pairs = np.arange(self.kv_width // 2).reshape(self.n_kv, self.dim // 2)
        both = pairs.repeat(2, axis=1) if self.neighbors else np.concatenate([pairs, pairs], axis=1)
        return both.reshape(-1)


@dataclass(frozen=True)
class Link:
    """Channels from some tensors to others: multiply the rows, divide the columns, and the model stays the same.

    ``rows``: a norm's weight, or a matrix and its bias where it has one; each has ``n_channels`` rows or values.
    ``columns``: matrices that read nothing but these channels.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    n_channels: int
    channel_of_column: Indices  # (columns,): a channel that several heads read is in several columns


@dataclass(frozen=True)
class Family:
    """The structure of one model. Tensors of a block are ``name(layer, "attn_q.weight")``."""

    arch: str
    n_layers: int
    n_embd: int
    n_ff: int
    heads: Heads
    names: frozenset[str]

    @property
    def sizes(self) -> dict[str, int]:
        """Channels of each kind of dimension."""
        return {"embd": self.n_embd, "heads": self.heads.width, "kv": self.heads.kv_width, "ff": self.n_ff}

    @property
    def qk_norm(self) -> bool:
        """Whether queries and keys are normed, so that scales of their rows are lost or, per value, are not free."""
        return self.arch == "qwen3"

    @property
    def square(self) -> bool:
        """Whether the heads must be as wide as the embedding."""
        return self.arch in _SQUARE

    def name(self, layer: int, tensor: str) -> str:
        """A block's tensor as the file names it."""
        return f"blk.{layer}.{tensor}"

    def axes(self, name: str) -> tuple[str, ...]:
        """What each dimension of a tensor counts, columns first: a key of `sizes`, or nothing that changes."""
        return _TOP[name] if name in _TOP else _block_axes(self)[name.split(".", 2)[2]]

    def links(self, layer: int) -> tuple[Link, ...]:
        """What can be rescaled in a block: attn_norm, attn_v (heads of a KV group are tied), ffn_norm, ffn_up."""
        embd, ff = np.arange(self.n_embd), np.arange(self.n_ff)
        qkv = ("attn_q.weight", "attn_k.weight", "attn_v.weight")
        return (
            self._link(layer, ("attn_norm.weight",), qkv, embd),
            self._link(layer, ("attn_v.weight", "attn_v.bias"), ("attn_output.weight",), self.heads.kv_channels()),
            self._link(layer, ("ffn_norm.weight",), ("ffn_gate.weight", "ffn_up.weight"), embd),
            self._link(layer, ("ffn_up.weight", "ffn_up.bias"), ("ffn_down.weight",), ff),
        )

    def _link(self, layer: int, rows: tuple[str, ...], columns: tuple[str, ...], channels: Indices) -> Link:
        there = tuple(n for r in rows if (n := self.name(layer, r)) in self.names)
        return Link(there, tuple(self.name(layer, c) for c in columns), int(channels[-1]) + 1, channels)


def of(source: Source) -> Family:
    """The family of a model. Raises Refused for another graph, and for a tensor or a shape that it does not have."""
    arch = source.arch
    if arch not in _NEIGHBORS:
        covered = ", ".join(_NEIGHBORS)
        raise Refused(f"The graph of {gguf_info.safe(arch)} is not covered: channels are rescaled in {covered}.")
    n_layers, n_embd, n_ff = (_whole(source, k) for k in ("block_count", "embedding_length", "feed_forward_length"))
    n_heads = _whole(source, "attention.head_count")
    n_kv = _whole(source, "attention.head_count_kv", n_heads)
    dim = _whole(source, "attention.key_length", n_embd // n_heads)
    odd = (
        n_heads % n_kv
        or dim % 2
        or _whole(source, "attention.value_length", n_embd // n_heads) != dim
        or _whole(source, "rope.dimension_count", dim) != dim
        or (arch in _SQUARE and n_heads * dim != n_embd)
    )
    if odd:
        raise Refused(f"The heads of {source.path.name} are none that the graph of {arch} can have.")
    heads = Heads(n_heads, n_kv, dim, _NEIGHBORS[arch])
    family = Family(arch, n_layers, n_embd, n_ff, heads, frozenset(source.tensors))
    _check(source, family)
    return family


def _whole(source: Source, key: str, default: int | None = None) -> int:
    full = f"{source.arch}.{key}"
    value = source.header.metadata.get(full, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise Refused(f"{full} of {source.path.name} is not one whole number: this graph is not covered.")
    return value


def _check(source: Source, family: Family) -> None:
    """Every tensor is one that the graph uses, in the shape that it needs."""
    block = _block_axes(family)
    axes = _TOP | {family.name(i, n): a for i in range(family.n_layers) for n, a in block.items()}
    if unknown := family.names - axes.keys():
        name = gguf_info.safe(min(unknown))
        raise Refused(f"{name} is not in the graph that is covered: {family.arch} without experts or additions.")
    optional = {f"{m}.bias" for m in _MATRICES}
    required = {family.name(i, n) for i in range(family.n_layers) for n in block.keys() - optional}
    if missing := required.union(("token_embd.weight", "output_norm.weight")) - family.names:
        raise Refused(f"{source.path.name} has no {min(missing)}, which the graph of {family.arch} needs.")
    sizes = family.sizes | {"": None}
    for name in family.names:
        shape = source.tensors[name].shape
        needed = tuple(sizes[a] for a in axes[name])
        if len(shape) != len(needed) or any(n not in (None, has) for n, has in zip(needed, shape, strict=True)):
            raise Refused(f"{name} of {source.path.name} has the shape {list(shape)}, which does not fit its metadata.")


def _block_axes(family: Family) -> dict[str, tuple[str, ...]]:
    norms = _NORMS | (_QK_NORMS if family.qk_norm else {})
    named = {f"{n}.weight": a for n, a in (norms | _MATRICES).items()}
    return named | {f"{m}.bias": a[1:] for m, a in _MATRICES.items()}
