"""Types that a tensor may not go below where it was not measured itself but only the segment that it is in.

Where each tensor is probed there are none: floors for embeddings and for the first and the last block, as other tools
have them, made every file that they changed worse on text that no probe had seen (docs/budgets.md).
"""

from __future__ import annotations

from collections.abc import Mapping

from edgeq.allocate.candidates import Candidates
from edgeq.allocate.names import OUTSIDE, block
from edgeq.gguf_info import TYPE_NAMED
from edgeq.records import Guard

_REASON = "only its segment was probed: not below what llama.cpp's nearest mix gives it"


def guards(found: Mapping[str, Candidates], base: Mapping[str, str]) -> tuple[Guard, ...]:
    """The floor of each tensor of the blocks. ``base``: types of llama.cpp's own mix that is nearest in size."""
    floors = (
        Guard(name, _at_least(c, base[name]), _REASON)
        for name, c in found.items()
        if block(name) != OUTSIDE and name in base
    )
    return tuple(g for g in floors if g.type != found[g.tensor].types[0])


def _at_least(c: Candidates, kind: str) -> str:
    """The smallest of the tensor's types that has as many bits."""
    bits = _bits(kind)
    return next((k for k in c.types if _bits(k) >= bits), c.types[-1])


def _bits(kind: str) -> float:
    of = TYPE_NAMED[kind]
    return of.n_bytes(of.block) * 8 / of.block
