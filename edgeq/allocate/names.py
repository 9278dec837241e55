"""Where a tensor is in the model, by its name."""

from __future__ import annotations

import re

_IN_BLOCK = re.compile(r"blk\.(\d+)\.(.+)\.weight")
OUTSIDE = -1


def block(name: str) -> int:
    """Number of its block; -1 outside of the blocks."""
    found = _IN_BLOCK.fullmatch(name)
    return int(found[1]) if found else OUTSIDE


def group(name: str) -> str:
    """What it is in every block: ``ffn_down``. Outside of the blocks its own name: ``token_embd``."""
    found = _IN_BLOCK.fullmatch(name)
    return found[2] if found else name.removesuffix(".weight")


def segment(name: str, n_blocks: int) -> tuple[str, int]:
    """Its group and one of six depths: first block, next three, three thirds of the rest, last block."""
    at = block(name)
    if at in (OUTSIDE, 0):
        return group(name), 0
    if at == n_blocks - 1:
        return group(name), 5
    if at < 4:
        return group(name), 1
    return group(name), 2 + min(2, 3 * (at - 4) // max(1, n_blocks - 5))
