"""From what was measured and a budget to the type of every tensor."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgeq import gguf_info
from edgeq.allocate import guards as guarding
from edgeq.allocate import knapsack
from edgeq.allocate.candidates import Candidates, candidates
from edgeq.allocate.damage import Damage, damages
from edgeq.allocate.names import block, segment
from edgeq.errors import InputError
from edgeq.gguf_info import Header
from edgeq.records import Allocation, Gguf, Recipe, Segment, Sensitivities

# What a file says of its making, at most: names of recipe, importance matrix and texts, shrinkages of its refining.
_METADATA_BYTES = 4096


@dataclass(frozen=True)
class Base:
    """A file type of llama.cpp's own that a mix is compared with: its size in bytes and its types."""

    file_type: str
    n_bytes: int
    types: Mapping[str, str]


@dataclass(frozen=True)
class Target:
    """A budget and the name of what is made for it. ``decode_s``: at most so many seconds of weights a token."""

    name: str
    max_bytes: int
    decode_s: float | None = None


@dataclass(frozen=True)
class Solver:
    """A model that has been measured. ``weighed``: tensors with importance; ``stock``: llama.cpp's own file types.

    ``speeds``: weights per second of each type, and ``joules``: energy of a weight, where they were measured.
    """

    found: Sensitivities
    weighed: frozenset[str]
    stock: Sequence[Base]
    speeds: Mapping[str, float] = field(default_factory=dict)
    joules: Mapping[str, float] = field(default_factory=dict)

    def solve(self, target: Target, *, fold: bool = False) -> Allocation:
        """The types with the least damage within the target. Raises InputError where nothing fits."""
        header = gguf_info.read_header(Path(self.found.model.path))
        of_tensor = candidates(header, self.found.errors, self.weighed, self.found.types)
        n_blocks = 1 + max(block(name) for name in of_tensor)
        nearest = min(self.stock, key=lambda b: abs(b.n_bytes - target.max_bytes))
        floors = guarding.guards(of_tensor, nearest.types) if self.found.probe_by == "segment" else ()
        allowed = _above(of_tensor, {g.tensor: g.type for g in floors})
        if _file_bytes(header, {n: kinds[0] for n, kinds in allowed.items()}) > target.max_bytes:
            floors, allowed = (), {n: c.types for n, c in of_tensor.items()}  # the target does not leave room for them
        fixed = _file_bytes(header, {}) - sum(c.tensor.n_bytes for c in of_tensor.values())
        table = damages(self.found, folded=fold)
        timed = _read(of_tensor) if self.speeds else set()
        items = [
            [
                knapsack.Option(
                    table[name][k], c.n_bytes(k), c.tensor.n_elements / self.speeds[k] if name in timed else 0.0
                )
                for k in allowed[name]
            ]
            for name, c in of_tensor.items()
        ]
        budget = target.max_bytes - fixed - len(items) * header.alignment // 2
        chosen = knapsack.solve(items, budget, target.decode_s)
        if chosen is None:
            raise InputError(
                f"No types of these reach {target.name}.", "Raise the target, or give it more time a token."
            )
        types = {name: allowed[name][i] for name, i in zip(of_tensor, chosen, strict=True)}
        n_bytes = _file_bytes(header, types)
        read = {n: c.tensor.n_elements for n, c in of_tensor.items() if n in _read(of_tensor)}
        return Allocation(
            target=target.name,
            max_bytes=target.max_bytes,
            recipe=_recipe(
                target.name + ("-fold" if fold else ""), types, nearest.file_type, weighed=bool(self.weighed), fold=fold
            ),
            n_bytes=n_bytes,
            bpw=n_bytes * 8 / self.found.model.n_params,
            types=types,
            damage={name: table[name][kind] for name, kind in types.items()},
            predicted_kld=sum(table[name][kind] for name, kind in types.items()),
            guards=tuple(g for g in floors if types[g.tensor] == g.type),
            segments=_segments(of_tensor, types, table, n_blocks),
            decode_s=sum(n / self.speeds[types[t]] for t, n in read.items()) if self.speeds else None,
            decode_j=sum(n * self.joules[types[t]] for t, n in read.items()) if self.joules else None,
        )


def refuse_unreachable(
    model: Gguf, quantizable: Iterable[str], weighed: frozenset[str], types: tuple[str, ...], targets: Sequence[Target]
) -> None:
    """Raise InputError, with the range, for a target below the smallest file of these types or above the model."""
    header = gguf_info.read_header(Path(model.path))
    of_tensor = candidates(header, quantizable, weighed, types)
    low, high = (gguf_info.predict_file_bytes(header, {n: c.types[i] for n, c in of_tensor.items()}) for i in (0, -1))
    for target in targets:
        if not low <= target.max_bytes <= model.n_bytes:
            low_bpw, high_bpw, top_bpw = (n * 8 / model.n_params for n in (low, high, model.n_bytes))
            raise InputError(
                f"{target.name} is not within what can be reached: {low_bpw:.2f} to {top_bpw:.2f} bpw, "
                f"{low / 2**20:,.1f} to {model.n_bytes / 2**20:,.1f} MiB.",
                f"Choose a target in between; above {high_bpw:.2f} bpw nothing is won.",
            )


def _read(of_tensor: Iterable[str]) -> set[str]:
    """Tensors that decoding a token reads whole: of an embedding that is no output head as well, one row."""
    names = set(of_tensor)
    return names - {"token_embd.weight"} if "output.weight" in names else names


def _file_bytes(header: Header, types: Mapping[str, str]) -> int:
    return gguf_info.predict_file_bytes(header, types) + _METADATA_BYTES


def _above(of_tensor: Mapping[str, Candidates], floors: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    allowed = {}
    for name, c in of_tensor.items():
        first = c.n_bytes(floors[name]) if name in floors else 0
        allowed[name] = tuple(k for k in c.types if c.n_bytes(k) >= first)
    return allowed


def _segments(
    of_tensor: Mapping[str, Candidates], types: Mapping[str, str], table: Damage, n_blocks: int
) -> tuple[Segment, ...]:
    """What was chosen, by the tensor's place in its block and the block's depth."""
    members: dict[tuple[str, int], list[str]] = {}
    for name in of_tensor:
        members.setdefault(segment(name, n_blocks), []).append(name)
    return tuple(
        Segment(
            group=of,
            depth=depth,
            types=dict(Counter(types[n] for n in names).most_common()),
            n_bytes=sum(of_tensor[n].n_bytes(types[n]) for n in names),
            damage=sum(table[n][types[n]] for n in names),
        )
        for (of, depth), names in sorted(members.items())
    )


def _recipe(name: str, types: Mapping[str, str], file_type: str, *, weighed: bool, fold: bool) -> Recipe:
    """llama-quantize's own terms: a file type, and an anchored pattern for each tensor.

    Embeddings have options of their own, which llama-quantize puts before patterns.
    """
    return Recipe(
        name=name,
        file_type=file_type,
        method="activation_aware" if fold else "stock",
        imatrix=weighed,
        overrides=tuple((f"^{re.escape(t)}$", kind.lower()) for t, kind in types.items()),
        options={"fold": True} if fold else {},
    )
