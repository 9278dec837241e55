"""The claims that are made of the methods, and what became of each here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgeq.analyze.methods.claims.bits import FOUR, TWO, promised
from edgeq.analyze.methods.claims.breaking import breaking
from edgeq.analyze.methods.claims.calibration import calibration
from edgeq.analyze.methods.claims.choosing import shown
from edgeq.analyze.methods.claims.ordering import ordering
from edgeq.analyze.methods.facts import ArmFacts
from edgeq.records import Claim, MethodRow


def claims(
    reference: ArmFacts, arms: Sequence[ArmFacts], rows: Sequence[MethodRow], groups: Mapping[str, str]
) -> tuple[Claim, ...]:
    """Every side of every claim. ``rows`` are those of ``arms``, in the same order."""
    measured = shown(arms, rows)
    return (
        *promised(FOUR, measured, reference),
        *promised(TWO, measured, reference),
        *breaking(measured, reference, groups),
        *calibration(measured),
        *ordering(measured),
    )
