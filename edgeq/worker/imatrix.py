"""Reading an importance matrix (GGUF) as llama-quantize does: the sum of squares over the count of tokens."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import gguf
import numpy as np

from edgeq.tensors.refused import Refused


@lru_cache(maxsize=1)
def read_imatrix(path: Path) -> dict[str, np.ndarray]:
    """{tensor name: importance} with n_mat * ne0 float32 values each; an expert that saw no token gets ones."""
    tensors = {t.name: t.data for t in gguf.GGUFReader(path).tensors}
    entries = {}
    for name, sums in tensors.items():
        base = name.removesuffix(".in_sum2")
        if base == name:
            continue
        if f"{base}.counts" not in tensors:
            raise Refused(f"{path.name} has no counts for {base}: it is not an importance matrix")
        counts = tensors[f"{base}.counts"].reshape(-1, 1).astype(np.float32)
        rows = sums.reshape(len(counts), -1).astype(np.float32)
        with np.errstate(divide="ignore", invalid="ignore"):
            entries[base] = np.where(counts > 0, rows / counts, np.float32(1)).astype(np.float32).ravel()
    if not entries:
        raise Refused(f"{path.name} has no entries: it is not an importance matrix")
    return entries
