"""Which arms a claim is about, by what they are and never by what they are called."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from edgeq.analyze.methods import fidelity
from edgeq.analyze.methods.facts import ArmFacts, Kind, has_bits, kind, weight_bpw
from edgeq.records import MethodRow

# Methods that do more than round weights into a file type: learn, add weights, or share scales over more of them.
_MORE = ("qat", "low_rank", "per_tensor", "per_channel", "activation_aware")


@dataclass(frozen=True)
class Shown:
    """An arm that was measured: its raw records, and its row of the table."""

    facts: ArmFacts
    row: MethodRow

    @property
    def name(self) -> str:
        """As in the table; a mix of llama.cpp's own is told from the pure type of its name."""
        arm = self.facts.arm
        return f"{arm.name} (mix)" if arm.method == "stock" and not self.pure else arm.name

    @property
    def method(self) -> str:
        """The method that it shows."""
        return self.facts.arm.method

    @property
    def file_type(self) -> str:
        """Of its recipe; empty for the source itself."""
        return self.facts.arm.recipe.file_type if self.facts.arm.recipe else ""

    @property
    def pure(self) -> bool:
        """Whether all its matrices are of one type."""
        return bool(self.facts.arm.recipe and self.facts.arm.recipe.pure)

    @property
    def kind(self) -> Kind | None:
        """Family and bits of the file type, where the weights really have them."""
        found, model = kind(self.file_type), self.facts.model
        return found if found and model and has_bits(model, found.bits) else None

    @property
    def is_native(self) -> bool:
        """Whether size and numerics are those of a file that llama.cpp itself reads, nothing overwritten on the way."""
        return self.facts.has_size and self.facts.arm.activations is None

    @property
    def is_deployable(self) -> bool:
        """Whether it is a form of its method that could be shipped."""
        return self.is_native and self.facts.has_speed and not self.facts.arm.control

    @property
    def is_calibrated(self) -> bool:
        """Whether its rounding has seen calibration text, at no more bits."""
        model = self.facts.model
        weighed = model is not None and model.imatrix_sha256 is not None
        return self.method == "activation_aware" or (weighed and self.method not in _MORE)

    @property
    def is_plain(self) -> bool:
        """Whether its weights were only rounded, without any data."""
        model = self.facts.model
        return self.method not in _MORE and model is not None and model.imatrix_sha256 is None

    @cached_property
    def kld(self) -> float | None:
        """Mean over all texts."""
        return fidelity.mean_kld(self.facts)


def shown(facts: Sequence[ArmFacts], rows: Sequence[MethodRow]) -> list[Shown]:
    """All that were measured, each in the place of its row."""
    return [Shown(f, r) for f, r in zip(facts, rows, strict=True) if not r.skipped]


def best(arms: Iterable[Shown]) -> Shown | None:
    """The one that is closest to the reference."""
    measured = [arm for arm in arms if arm.kld is not None]
    return min(measured, key=lambda arm: arm.kld or 0.0, default=None)


def of_bits(arms: Iterable[Shown], bits: int) -> list[Shown]:
    """The plain one and the best one that could be shipped with so many bits; the same one once."""
    fitting = [arm for arm in arms if arm.is_deployable and arm.kind and arm.kind.bits == bits]
    plain = min((arm for arm in fitting if arm.is_plain), key=_bpw, default=None)
    return list({arm.row.sha256: arm for arm in (plain, best(fitting)) if arm}.values())


def why_none(arms: Iterable[Shown], bits: int) -> str:
    """Why no arm has so many bits."""
    named = [arm for arm in arms if arm.is_deployable and (found := kind(arm.file_type)) and found.bits == bits]
    if not named:
        return f"no file with {bits}-bit weights was made that could be shipped"
    off = ", ".join(f"{arm.name} has {_bpw(arm):.2f} bits per weight" for arm in named)
    return f"the rows of this model do not fit the {bits}-bit types: {off}"


def _bpw(arm: Shown) -> float:
    found = weight_bpw(arm.facts.model) if arm.facts.model else None
    return float("inf") if found is None else found
