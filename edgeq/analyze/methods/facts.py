"""An arm with all raw records of it, and what its file really is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from gguf import GGML_QUANT_SIZES

from edgeq.records import Arm, BenchRecord, EvalRecord, GenerationRecord, Gguf, TaskRecord

FLOATS = ("F32", "F16", "BF16")
_BITS = {kind.name: 8 * n_bytes / block for kind, (block, n_bytes) in GGML_QUANT_SIZES.items()}
# Below this share of weights that have as many bits as the file's name promises, the file shows nothing of them.
_MOSTLY = 0.5


@dataclass(frozen=True)
class ArmFacts:
    """``evals``: one for each text. ``long_eval``: all positions of a long context. ``seconds``: making and scoring.

    ``skipped`` says why there is no model; then there are no records either.
    """

    arm: Arm
    model: Gguf | None
    skipped: str = ""
    evals: tuple[EvalRecord, ...] = ()
    long_eval: EvalRecord | None = None
    tasks: tuple[TaskRecord, ...] = ()
    generation: GenerationRecord | None = None
    bench: BenchRecord | None = None
    seconds: float | None = None

    @property
    def has_size(self) -> bool:
        """Whether the size of its file is the method's own."""
        return self.arm.size_valid and self.arm.numerics == "exact"

    @property
    def has_speed(self) -> bool:
        """Whether speed and energy are the method's own."""
        return self.arm.speed_valid and self.arm.numerics == "exact"


class Kind(NamedTuple):
    """A quantized type: its family (K, IQ, or the 0 or 1 of the legacy types) and the bits that its name promises."""

    family: str
    bits: int


def kind(file_type: str) -> Kind | None:
    """The kind of a file type by its name (Q4_K_M, IQ3_XXS, Q5_1); None for any other."""
    found = re.match(r"(I?)Q(\d)_(K|[01](?=$|_)|\w+)", file_type.upper())
    if not found or not (found[1] or found[3] in ("K", "0", "1")):
        return None
    return Kind("IQ" if found[1] else found[3], int(found[2]))


def has_bits(model: Gguf, bits: int) -> bool:
    """Whether most of its quantized weights have so many bits, and not those that odd rows made llama.cpp choose."""
    weights = _matrices(model)
    fitting = sum(n for name, n in weights.items() if (found := kind(name)) and found.bits == bits)
    return fitting >= _MOSTLY * sum(weights.values()) > 0


def weight_bpw(model: Gguf) -> float | None:
    """Bits per weight of the quantized matrices, each scale once, the embeddings left out, an adapter included."""
    weights, bits = _matrices(model), model.ideal_bpw
    n = sum(weights.values())
    if bits is None:
        if not n or not weights.keys() <= _BITS.keys():
            return None
        bits = sum(_BITS[name] * share for name, share in weights.items()) / n
    return bits + (8 * model.adapter.n_bytes / n if model.adapter and n else 0.0)


def _matrices(model: Gguf) -> dict[str, int]:
    """Parameters by quantized type; those of the type that the recipe gives to embeddings count where all have it.

    In a comparison of methods the embeddings have the same type in all arms.
    """
    quantized = {name: n for name, n in model.tensor_types.items() if name not in FLOATS}
    embedding = ((model.recipe and model.recipe.token_embedding_type) or "").upper()
    if model.recipe and model.recipe.file_type == embedding:
        return quantized
    return {name: n for name, n in quantized.items() if name != embedding}
