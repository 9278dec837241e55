"""What the recipes of the comparison have in common, and what several methods ask of a recipe."""

from __future__ import annotations

from collections.abc import Collection

from edgeq.gguf_info import promised_type
from edgeq.records import Activations, Arm, Recipe


def recipe(
    name: str, file_type: str, method: str, *, imatrix: bool = False, **options: str | int | float | bool
) -> Recipe:
    """One type for all weight matrices, and the embeddings at 8 bits: the method is compared, not the mix."""
    return Recipe(
        name,
        file_type,
        method=method,
        imatrix=imatrix,
        pure=True,
        token_embedding_type="q8_0",
        output_tensor_type="q8_0",
        options=options,
    )


def why_not_quantized(recipe: Recipe) -> str:
    """A sentence on a file type that quantizes nothing, else nothing."""
    return "" if promised_type(recipe.file_type) else f"{recipe.file_type} quantizes no weights."


def why_not_among(recipe: Recipe, types: Collection[str], what: str) -> str:
    """A sentence on a file type whose main tensor type is none of ``types``, which are ``what``; else nothing."""
    if promised_type(recipe.file_type) in types:
        return ""
    return f"{recipe.file_type} is not {what}: {', '.join(types)} are."


def dequantized(method: str, recipe: Recipe, *, control: bool = False) -> Arm:
    """An arm whose quantized weights are stored as floating-point numbers: neither size nor speed is the method's."""
    return Arm(method, recipe.name, recipe, size_valid=False, speed_valid=False, control=control)


def simulated(method: str, name: str, recipe: Recipe | None, activations: Activations) -> Arm:
    """An arm whose activations are overwritten on the way. Without a recipe, the source's: a control."""
    return Arm(
        method,
        name,
        recipe,
        activations,
        numerics="simulated",
        size_valid=False,
        speed_valid=False,
        control=recipe is None,
    )
