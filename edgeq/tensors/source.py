"""A GGUF model's tensors, decoded to float32 a few rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from gguf import quants

from edgeq import gguf_info
from edgeq.gguf_info import TYPE_NAMED, Header, TensorInfo

# Values that are decoded at a time: 32 MiB of float32.
STEP_VALUES = 1 << 23


@dataclass(frozen=True)
class Tensor:
    """One tensor of a file. ``shape`` as in ggml: the row length first. Rows count over all outer dimensions."""

    info: TensorInfo
    path: Path

    @property
    def name(self) -> str:
        """Its name in the file."""
        return self.info.name

    @property
    def shape(self) -> tuple[int, ...]:
        """Dimensions, the row length first."""
        return self.info.shape

    @property
    def type(self) -> str:
        """Name of its ggml type, upper case."""
        return self.info.type

    @property
    def row_length(self) -> int:
        """Values in a row: inputs of a weight matrix."""
        return self.info.shape[0]

    @property
    def n_rows(self) -> int:
        """Rows in all matrices of the tensor."""
        return self.info.n_elements // self.info.shape[0]

    @property
    def n_matrices(self) -> int:
        """1, or the number of experts."""
        return self.n_rows // self.info.shape[1] if len(self.info.shape) > 1 else 1

    @cached_property
    def raw(self) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Bytes as they lie in the file, (n_rows, bytes of a row), mapped."""
        shape = (self.n_rows, self.info.n_bytes // self.n_rows)
        return np.memmap(self.path, np.uint8, "r", self.info.offset, shape)

    def read(self, start: int, stop: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """As `raw`, some rows, read: pages of a mapped file would count as this process's memory ever after."""
        n_bytes = self.info.n_bytes // self.n_rows
        offset = self.info.offset + start * n_bytes
        return np.fromfile(self.path, np.uint8, (stop - start) * n_bytes, offset=offset).reshape(-1, n_bytes)

    def rows(self, start: int = 0, stop: int | None = None) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Values of rows ``start`` to ``stop``, (rows, row_length), a copy."""
        raw = np.ascontiguousarray(self.raw[start:stop])
        if self.type == "F32":
            return np.array(raw.view(np.float32))
        if self.type == "F16":
            return raw.view(np.float16).astype(np.float32)
        return np.ascontiguousarray(quants.dequantize(raw, gguf.GGMLQuantizationType[self.type]), np.float32)

    def steps(self, step_values: int = STEP_VALUES) -> Iterator[tuple[int, int]]:
        """(start, stop) of pieces of at most ``step_values`` values, whole rows, none across two matrices."""
        per_matrix = self.n_rows // self.n_matrices
        step = max(1, step_values // self.row_length)
        for first in range(0, self.n_rows, per_matrix):
            for start in range(first, first + per_matrix, step):
                yield start, min(start + step, first + per_matrix)


class Source:
    """A model file to read from: its checked header and its tensors by name."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.header: Header = gguf_info.read_header(path)
        self.tensors = {t.name: Tensor(t, self.header.parts[t.part]) for t in self.header.tensors}

    @property
    def arch(self) -> str:
        """``general.architecture``."""
        return self.header.arch

    def number(self, key: str) -> float | int | None:
        """A number of the model's own metadata: ``number("block_count")``."""
        value = self.header.metadata.get(f"{self.arch}.{key}")
        return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def row_bytes(type_name: str, row_length: int) -> int:
    """Bytes of a row of ``row_length`` values, which must be whole blocks."""
    return TYPE_NAMED[type_name].n_bytes(row_length)


def is_embedding(name: str) -> bool:
    """The token embedding and the output head: the same in all arms of a comparison of methods."""
    return name in ("token_embd.weight", "output.weight", "per_layer_token_embd.weight")
