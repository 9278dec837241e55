"""What to try out: each tensor alone, or each segment, in a low type; a third of the blocks in each type."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from edgeq.allocate.candidates import Candidates
from edgeq.allocate.names import OUTSIDE, block, segment
from edgeq.records import ProbeBy

Types = dict[str, str]

# Above this number of parameters a probe of each tensor takes hours on a laptop.
_BY_TENSOR_UNTIL = 2_000_000_000
_THIRDS = 3


def default_probe(n_params: int) -> ProbeBy:
    """By tensor where that is a matter of minutes."""
    return "tensor" if n_params <= _BY_TENSOR_UNTIL else "segment"


def probes(found: Mapping[str, Candidates], by: ProbeBy, n_blocks: int) -> list[Types]:
    """One for each tensor or segment of the blocks; for what lies outside of them, one for each type."""
    groups: dict[object, Types] = {}
    for name, c in found.items():
        if block(name) != OUTSIDE:
            groups.setdefault(name if by == "tensor" else segment(name, n_blocks), {})[name] = c.probe
    return [*groups.values(), *({name: k} for name, c in found.items() if block(name) == OUTSIDE for k in c.types)]


def whole(found: Mapping[str, Candidates], n_blocks: int) -> list[Types]:
    """For each type every third block in it, as far as the block's tensors can be."""
    kinds: Iterable[str] = dict.fromkeys(k for c in found.values() for k in c.types)
    chosen = [n for n in found if block(n) % _THIRDS == min(1, n_blocks - 1) and block(n) != OUTSIDE]
    trials = ({n: k for n in chosen if k in found[n].types} for k in kinds)
    return [t for t in trials if t]
