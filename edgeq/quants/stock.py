"""llama.cpp's own quantizers and mixes, with or without importance matrix and per-tensor overrides."""

from __future__ import annotations

from edgeq.records import Recipe


def job(recipe: Recipe) -> dict[str, object]:
    """The worker's job for a recipe: the library's quantize function does it all."""
    return {
        "name": recipe.name,
        "file_type": recipe.file_type,
        "pure": recipe.pure,
        "overrides": recipe.overrides,
        "token_embedding_type": recipe.token_embedding_type,
        "output_tensor_type": recipe.output_tensor_type,
    }
