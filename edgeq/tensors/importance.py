"""Looking up E[x²] of a tensor's inputs, so that a matrix of another model is told from one that fits."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeq.gguf_info import safe
from edgeq.tensors.refused import Refused
from edgeq.tensors.source import Source, Tensor
from edgeq.tensors.work import Importance

Floats = np.ndarray[Any, np.dtype[np.float32]]


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
    needed = tensor.row_length * tensor.n_matrices
    if values.shape != (needed,):
        raise Refused(f"the importance matrix is of another model: {name} has {needed} inputs, not {values.size}")
    if not np.isfinite(values).all() or values.min() < 0:
        raise Refused(f"the importance matrix has values for {name} that are no mean squares: calibrate again")
    return values
