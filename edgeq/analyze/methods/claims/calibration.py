"""Whether calibration is worth more than a bit: the same type calibrated against the next type without."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgeq.analyze.methods import fidelity
from edgeq.analyze.methods.claims.choosing import Shown, best
from edgeq.analyze.methods.claims.verdicts import Subject
from edgeq.analyze.methods.facts import Kind
from edgeq.records import Claim

TEXT = "Calibration matters more than the number of bits"
NEEDED = "Below 4 bits, i-quants need calibration"
# A divergence that falls to this share of itself is what "need" is taken for.
_NEED = 0.5


def calibration(arms: Sequence[Shown]) -> Iterator[Claim]:
    """One claim for each type that is there with calibration, and one bit wider without."""
    native = [arm for arm in arms if arm.is_native and arm.kind and arm.pure]
    types = sorted({arm.kind for arm in native if arm.kind and arm.is_calibrated}, key=lambda k: (-k.bits, k.family))
    found = [claim for of in types if (claim := _against_a_bit(native, of))]
    yield from found or [Subject(TEXT, "a type, and the next one", "×").unknown(
        "no type was made with calibration whose next wider one was made without"
    )]  # fmt: skip
    needed = [claim for of in types if of.family == "IQ" and of.bits < 4 and (claim := _needed(native, of))]
    yield from needed or [Subject(NEEDED, "an i-quant with and without", "×").unknown(
        "no i-quant below 4 bits was made both with calibration and without"
    )]  # fmt: skip


def _against_a_bit(native: Sequence[Shown], of: Kind) -> Claim | None:
    ours = best(arm for arm in native if arm.kind == of and arm.is_calibrated)
    wider = _narrowest(native, Kind(of.family, of.bits + 1))
    found = ours and wider and fidelity.kld_ratio(ours.facts, wider.facts)
    if not (ours and wider and found):
        return None
    figure, n_chunks = found
    before = _same_type(native, ours)
    told = f"without calibration {before.name} has {before.kld:.3g}; " if before and before.kld is not None else ""
    return Subject(TEXT, f"KLD of {ours.name} over that of {wider.name}", "×").at_most(
        figure,
        1.0,
        f"{ours.name} and {wider.name}, {n_chunks} chunks",
        f"{told}{ours.name} has {ours.kld:.3g}, one more bit {wider.kld:.3g}",
    )


def _needed(native: Sequence[Shown], of: Kind) -> Claim | None:
    ours = best(arm for arm in native if arm.kind == of and arm.is_calibrated)
    before = ours and _same_type(native, ours)
    found = ours and before and fidelity.kld_ratio(ours.facts, before.facts)
    if not (ours and before and found):
        return None
    figure, n_chunks = found
    subject = Subject(NEEDED, f"KLD of {ours.name} over that of {before.name}", "×")
    return subject.at_most(figure, _NEED, f"{ours.name} and {before.name}, {n_chunks} chunks")


def _same_type(native: Sequence[Shown], calibrated: Shown) -> Shown | None:
    """The same file type without calibration."""
    return best(arm for arm in native if arm.is_plain and arm.file_type == calibrated.file_type)


def _narrowest(native: Sequence[Shown], of: Kind) -> Shown | None:
    """Of the types of one kind, the one with the fewest bits per weight, without calibration."""
    plain = [arm for arm in native if arm.kind == of and arm.is_plain and arm.kld is not None]
    return min(plain, key=lambda arm: arm.row.weight_bpw or float("inf"), default=None)
