"""Which types a tensor may have: whole blocks in a row, importance where the encoder needs it, what was asked for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from edgeq.errors import InputError
from edgeq.gguf_info import TYPE_NAMED, Header, TensorInfo
from edgeq.plugins import nearest

# For rows of whole superblocks of 256, and for others. Not among them: types that are larger than another one of them
# and no better (Q4_0, Q5_0, IQ2_XS).
K_TYPES = ("Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "Q8_0")
I_TYPES = ("IQ2_XXS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ4_XS")
SMALL_BLOCKS = ("IQ4_NL", "Q4_1", "Q5_0", "Q5_1", "Q8_0")
_NEED_IMPORTANCE = {"IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ1_S", "IQ1_M"}
_FLOATS = {"F32", "F16", "BF16"}
_SETS = {"K": K_TYPES, "I": I_TYPES}


@dataclass(frozen=True)
class Candidates:
    """The types that a tensor may have, the smallest first, and what it is probed in."""

    tensor: TensorInfo
    types: tuple[str, ...]

    @property
    def probe(self) -> str:
        """The type whose damage is measured: large enough to be seen, and of a kind that all others resemble."""
        return next((t for t in ("Q2_K", "Q3_K") if t in self.types), self.types[0])

    def n_bytes(self, kind: str) -> int:
        """Of the whole tensor."""
        row = self.tensor.shape[0]
        return TYPE_NAMED[kind].n_bytes(row) * (self.tensor.n_elements // row)


def types_named(names: Iterable[str]) -> tuple[str, ...]:
    """Tensor types by their names in any case; K and I stand for all of their kind."""
    found: dict[str, None] = {}
    for name in names:
        kind = name.upper()
        if kind in _SETS:
            found.update(dict.fromkeys(_SETS[kind]))
        elif kind in TYPE_NAMED and TYPE_NAMED[kind].block > 1:
            found[kind] = None
        else:
            raise InputError(f"{name} is no type that a tensor can be given.", nearest(kind, (*TYPE_NAMED, *_SETS)))
    return tuple(found)


def candidates(
    header: Header, quantizable: Iterable[str], weighed: frozenset[str], kinds: tuple[str, ...]
) -> dict[str, Candidates]:
    """Of each tensor that can be quantized. ``weighed``: tensors that the importance matrix has entries for.

    Rows that are no multiple of 256 have the small blocks among these ``kinds`` and those that stand in for the others.
    Raises InputError for a model whose weights are quantized already.
    """
    tensors = {t.name: t for t in header.tensors}
    found = {}
    for name in quantizable:
        tensor = tensors[name]
        if tensor.type not in _FLOATS:
            raise InputError(
                f"{name} is {tensor.type}: the weights were quantized before, and what that costs can't be told from "
                "what is done now.",
                "Give the F16, BF16 or F32 model; `edgeq convert --regrid` takes a quantized one off its grid.",
            )
        offered = (*kinds, *SMALL_BLOCKS) if tensor.shape[0] % 256 else kinds
        fit = {
            kind
            for kind in offered
            if tensor.shape[0] % TYPE_NAMED[kind].block == 0 and (name in weighed or kind not in _NEED_IMPORTANCE)
        }
        if fit:
            of = Candidates(tensor, tuple(fit))
            found[name] = Candidates(tensor, tuple(sorted(fit, key=lambda k: (of.n_bytes(k), k))))
    if not found:
        raise InputError(f"{header.parts[0].name} has no weight matrices that can be quantized.")
    return found
