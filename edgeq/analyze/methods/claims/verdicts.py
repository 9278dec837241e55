"""An interval held against what was claimed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from edgeq.records import Claim, Estimate, Figure

Unit = Literal["%", "×"]
NOT_STEADY = "the repetitions of one of them were not sound, so that there is no interval"


@dataclass(frozen=True)
class Subject:
    """What is claimed, and which side of it is looked at."""

    text: str
    aspect: str
    unit: Unit = "%"

    def unknown(self, reason: str, figure: Figure | None = None, basis: str = "") -> Claim:
        """Without a verdict, and why."""
        return Claim(self.text, self.aspect, "not measurable here", figure, self.unit, basis, reason)

    def at_most(self, figure: Figure, limit: float, basis: str, remark: str = "") -> Claim:
        """Supported where the whole interval lies at or below ``limit``, not supported where it lies above."""
        return self._held(figure, limit, 1, basis, remark)

    def at_least(self, figure: Figure, limit: float, basis: str, remark: str = "") -> Claim:
        """Supported where the whole interval lies at or above ``limit``, not supported where it lies below."""
        return self._held(figure, limit, -1, basis, remark)

    def _held(self, figure: Figure, limit: float, sign: int, basis: str, remark: str) -> Claim:
        """``sign``: -1 where more is what was claimed."""
        if figure.ci95 is None:
            return self.unknown(NOT_STEADY, figure, basis)
        if not all(math.isfinite(end) for end in figure.ci95):
            return self.unknown("there is no finite figure", figure, basis)
        low, high = sorted(sign * end for end in figure.ci95)
        if low <= sign * limit < high:
            said = f"{100 * limit:g} %" if self.unit == "%" else f"{limit:g}×"
            return self.unknown(f"the 95 % interval straddles {said}", figure, basis)
        verdict: Literal["supported", "not supported"] = "supported" if high <= sign * limit else "not supported"
        return Claim(self.text, self.aspect, verdict, figure, self.unit, basis, remark)


def exactly(value: float) -> Figure:
    """What has no error that could be given: a size, or a peak that was seen once."""
    return Figure(Estimate(value), (value, value))
