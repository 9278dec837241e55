"""Which of two ways is better, all else being the same: KLD of the one that is said to be over that of the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from edgeq.analyze.methods import fidelity
from edgeq.analyze.methods.claims.choosing import Shown
from edgeq.analyze.methods.claims.verdicts import Subject
from edgeq.records import Claim

FINER = "The finer the scales, the better: per-tensor < per-channel < group-wise"
DYNAMIC = "Dynamic activation ranges beat static ones"
ASYMMETRIC = "Asymmetric beats symmetric at the same block"
_STEPS = (("per_channel", "per_tensor"), ("group_wise", "per_channel"))
# One range for a whole tensor is what a static range is; the others are finer as well.
_RANGES = ("dynamic-tensor", "dynamic-token", "dynamic-32")


def ordering(arms: Sequence[Shown]) -> Iterator[Claim]:
    """All pairs that differ in nothing else."""
    yield from _or(_granularity(arms), FINER, "no file type was made with both")
    yield from _or(_activations(arms), DYNAMIC, "no weights were run with both")
    yield from _or(_offset(arms), ASYMMETRIC, "no pair of types with the same bits and block was made")


def _or(found: Iterator[Claim], text: str, reason: str) -> Iterator[Claim]:
    yield from list(found) or [Subject(text, "KLD", "×").unknown(reason)]


def _granularity(arms: Sequence[Shown]) -> Iterator[Claim]:
    for finer, coarser in _STEPS:
        for file_type in dict.fromkeys(arm.file_type for arm in arms if arm.method == coarser):
            ours, theirs = (
                [a for a in arms if a.method == method and a.file_type == file_type and not a.facts.arm.activations]
                for method in (finer, coarser)
            )
            if ours and theirs:
                # Of several sizes of groups the finest, which has the most bits, stands for all.
                yield from _better(FINER, max(ours, key=lambda arm: arm.row.weight_bpw or 0.0), theirs[0])


def _activations(arms: Sequence[Shown]) -> Iterator[Claim]:
    for static in (arm for arm in arms if arm.facts.arm.activations == "static-tensor"):
        same = {
            arm.facts.arm.activations: arm
            for arm in reversed(arms)
            if arm.facts.arm.activations in _RANGES and _weights(arm) == _weights(static)
        }
        for ranges in _RANGES:
            if ranges in same:
                yield from _better(DYNAMIC, same[ranges], static)
                break


def _weights(arm: Shown) -> object:
    """What decides an arm's weights: all of its recipe but the name and the method that it shows; or the source."""
    recipe = arm.facts.arm.recipe
    return msgspec.structs.replace(recipe, name="", method="") if recipe else None


def _offset(arms: Sequence[Shown]) -> Iterator[Claim]:
    """Legacy types without and with an offset: Q4_0 and Q4_1, Q5_0 and Q5_1."""
    plain = [arm for arm in arms if arm.is_native and arm.pure and arm.is_plain and arm.kind]
    for symmetric in plain:
        assert symmetric.kind
        if symmetric.method == "symmetric" and symmetric.kind.family == "0":
            other = (symmetric.kind.bits, "1")
            same = [a for a in plain if a.method == "asymmetric" and a.kind and (a.kind.bits, a.kind.family) == other]
            if same:
                yield from _better(ASYMMETRIC, same[0], symmetric)


def _better(text: str, ours: Shown, theirs: Shown) -> Iterator[Claim]:
    found = fidelity.kld_ratio(ours.facts, theirs.facts)
    if found:
        figure, n_chunks = found
        subject = Subject(text, f"KLD of {ours.name} over that of {theirs.name}", "×")
        yield subject.at_most(figure, 1.0, f"{ours.name} and {theirs.name}, {n_chunks} chunks", _bits(ours, theirs))


def _bits(ours: Shown, theirs: Shown) -> str:
    """A better result that has more bits is not better for its way alone."""
    a, b = ours.row.weight_bpw, theirs.row.weight_bpw
    if a is None or b is None or abs(a - b) < 0.005:
        return ""
    return f"at {a:.2f} and {b:.2f} bits per weight"
