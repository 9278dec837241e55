"""Room: whatever the user has to an F16, BF16 or F32 GGUF that files are quantized from."""

from __future__ import annotations

from edgeq.convert.rewrite import PADDED_FROM, REGRID_SEED
from edgeq.convert.source import convert

__all__ = ["PADDED_FROM", "REGRID_SEED", "convert"]
