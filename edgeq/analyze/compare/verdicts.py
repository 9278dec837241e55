"""Which way each quantity gets worse, and what an interval says of it."""

from __future__ import annotations

from edgeq.records.compare import Quantity, Verdict

# 1: more is better. -1: less is better.
BETTER: dict[Quantity, int] = {"tps": 1, "kld": -1, "top1": 1, "ppl": -1, "j_per_token": -1, "ram": -1}


def verdict(quantity: Quantity, ci95: tuple[float, float], unchanged: float = 1.0) -> Verdict:
    """Better or worse where the whole interval lies on one side of ``unchanged``."""
    low, high = ci95
    if low <= unchanged <= high:
        return "indistinguishable"
    return "better" if (low > unchanged) == (BETTER[quantity] > 0) else "worse"
