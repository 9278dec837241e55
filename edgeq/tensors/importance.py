"""Looking up E[x²] of a tensor's inputs, so that a matrix of another model is told from one that fits."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeq.gguf_info import safe
from edgeq.tensors.refused import Refused
from edgeq.tensors.source import Source, Tensor, is_embedding
from edgeq.tensors.work import Importance

Floats = np.ndarray[Any, np.dtype[np.float32]]

# Types that ggml does not encode without importance (ggml_quantize_requires_imatrix), and those that llama-quantize
# takes for garbage without it, but for embeddings (tensor_requires_imatrix).
_NEEDED = {"IQ2_XXS", "IQ2_XS", "IQ1_S"}
_GARBAGE = _NEEDED | {"IQ3_XXS", "IQ2_S", "IQ1_M"}


def check(importance: Importance, source: Source) -> None:
    """Raise Refused for an entry that is of no tensor of this model, or has another length or no sensible values."""
    for name in importance:
        if name not in source.tensors:
            raise Refused(f"the importance matrix is of another model: this one has no {safe(name)}")
        of(importance, source.tensors[name])


def of(importance: Importance, tensor: Tensor) -> Floats:
    """E[x²] of each input of a weight matrix; of experts, one after the other. Raises Refused."""
    values = importance.get(tensor.name)
    name = safe(tensor.name)
    if values is None:
        raise Refused(f"the importance matrix has no entry for {name}: it is of another model, or of too little text")
    _check_length(values, tensor)
    if not np.isfinite(values).all() or values.min() < 0:
        raise Refused(f"the importance matrix has values for {name} that are no mean squares: calibrate again")
    return values


def of_encoder(importance: Importance | None, tensor: Tensor, kind: str, file_type: str = "") -> Floats | None:
    """What llama-quantize gives the encoder of ``kind``: none where the matrix has no entry for the tensor.

    Raises Refused where the entry has another length or is not finite, and where the result would be garbage without.
    """
    values = importance.get(tensor.name) if importance is not None else None
    if values is not None and is_embedding(tensor.name) and tensor.name != "output.weight":
        # llama-quantize looks embeddings up as well, and takes no notice of entries that don't fit.
        values = values if values.shape == (_length(tensor),) else None
    if values is None:
        low = _NEEDED if is_embedding(tensor.name) else _GARBAGE | ({"Q2_K"} if file_type == "Q2_K_S" else set())
        if kind in low:
            raise Refused(
                f"{safe(tensor.name)} would be garbage as {kind} without importance, and there is none for it: "
                "calibrate the model on more text, or give the tensor another type"
            )
        return None
    _check_length(values, tensor)
    if not np.isfinite(values).all():
        raise Refused(f"the importance matrix has values for {safe(tensor.name)} that are not finite: calibrate again")
    return values


def _check_length(values: Floats, tensor: Tensor) -> None:
    if values.shape != (_length(tensor),):
        raise Refused(
            f"the importance matrix is of another model: {safe(tensor.name)} has {_length(tensor)} inputs, "
            f"not {values.size}"
        )


def _length(tensor: Tensor) -> int:
    return tensor.row_length * tensor.n_matrices
