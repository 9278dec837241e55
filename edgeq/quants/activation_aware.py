"""Rounding that looks at what the weights are multiplied with: an importance matrix, scales folded in, or both."""

from __future__ import annotations

from edgeq.gguf_info import promised_type
from edgeq.quants import _arms
from edgeq.quants.stock import types as types
from edgeq.records import Arm, Recipe
from edgeq.tensors import families, folding, importance
from edgeq.tensors.factors import Factors
from edgeq.tensors.refused import Refused
from edgeq.tensors.work import Made, Work

TITLE = "activation-aware"
NUMBER = 10
DEFINITION = "Weights that are multiplied with larger activations are rounded with smaller errors."
# fold: scale the channels beforehand (AWQ). weigh: whether the encoder is given the importance matrix.
OPTIONS: dict[str, object] = {"fold": False, "weigh": True}

# Types whose encoders drop the importance matrix (ggml-quants.c).
_DEAF = {"Q8_0", "Q1_0", "Q2_0", "TQ1_0", "TQ2_0", "MXFP4", "NVFP4"}


def _arm(name: str, file_type: str, *, fold: bool = False, weigh: bool = True) -> Arm:
    recipe = _arms.recipe(name, file_type, "activation_aware", imatrix=True, fold=fold, weigh=weigh)
    return Arm("activation_aware", name, recipe)


ARMS = (
    _arm("Q4_0-imatrix", "Q4_0"),
    _arm("Q4_K-imatrix", "Q4_K_M"),
    _arm("Q3_K-imatrix", "Q3_K_M"),
    _arm("Q4_0-awq", "Q4_0", fold=True, weigh=False),
    _arm("Q4_0-awq-imatrix", "Q4_0", fold=True),
    _arm("Q3_K-awq-imatrix", "Q3_K_M", fold=True),
    # What the matrix is worth to a type of few bits, with the same type without it for the comparison.
    _arm("IQ3_S-imatrix", "IQ3_S"),
    Arm("activation_aware", "IQ3_S", _arms.recipe("IQ3_S", "IQ3_S", "stock"), control=True),
)


def check(recipe: Recipe) -> str:
    """Why a file by this recipe takes no account of activations, or nothing."""
    options = OPTIONS | recipe.options
    if not all(isinstance(options[name], bool) for name in OPTIONS):
        return "The options fold and weigh are true or false."
    if not recipe.imatrix:
        return "Without an importance matrix nothing is known of the activations."
    if why := _arms.why_not_quantized(recipe):
        return why
    if options["fold"]:
        return ""
    if not options["weigh"]:
        return "With neither fold nor weigh nothing takes the activations into account."
    if _DEAF.issuperset({promised_type(recipe.file_type), *(kind.upper() for _, kind in recipe.overrides)}):
        return f"The encoder of {recipe.file_type} takes no account of an importance matrix: fold it in (fold: true)."
    return ""


def apply(work: Work) -> Made:
    """Make the file. Raises Refused for an importance matrix or, where scales are folded in, a model that don't fit."""
    if work.importance is None:
        raise Refused("rounding by the activations needs an importance matrix")
    importance.check(work.importance, work.source)
    family = families.of(work.source) if work.options["fold"] else None
    weigh = bool(work.options["weigh"])
    if family is None:
        work.stock_file()
        return Made()
    # The types that llama.cpp chooses, fallbacks and mixes included, decide which scales are best.
    search = folding.Search(work.source, work.importance, work.types, work.ggml, weigh)
    factors = Factors()
    for layer in range(family.n_layers):
        for link in family.links(layer):
            factors.add(link, search.choose(link).scales)
        work.on_progress(layer + 1, family.n_layers)
    folded = work.scratch / "folded.gguf"
    folding.write(work.source, factors, folded, work.on_progress)
    importances = folding.rescaled(work.importance, factors) if weigh else None
    work.stock(folded, work.out, work.recipe, importances, factors.columns)
    folded.unlink()
    return Made()
