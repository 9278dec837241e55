"""Room: will this file run on that board, and how fast can it decode at most, before anything is copied there."""

from __future__ import annotations

from edgeq.fit.verdict import fit

__all__ = ["fit"]
