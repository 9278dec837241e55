"""Factors on the channels of a model's tensors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgeq.tensors.families import Link
from edgeq.tensors.source import Tensor

Floats = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True)
class Factors:
    """What each tensor's rows (or the values of a vector) and columns are multiplied by; not named: 1."""

    rows: dict[str, Floats] = field(default_factory=dict)
    columns: dict[str, Floats] = field(default_factory=dict)

    def add(self, link: Link, scales: Floats) -> None:
        """Multiply the columns that read a link's channels by their scales, and divide what makes the channels."""
        self.columns.update(dict.fromkeys(link.columns, scales[link.channel_of_column]))
        self.rows.update(dict.fromkeys(link.rows, np.reciprocal(scales)))

    def scaled(self, tensor: Tensor, start: int, stop: int) -> Floats:
        """The rows from ``start`` to ``stop`` of a tensor, multiplied."""
        values = tensor.rows(start, stop)
        if tensor.name in self.columns:
            values *= self.columns[tensor.name]
        if tensor.name in self.rows:
            rows = self.rows[tensor.name]
            values *= rows if len(tensor.shape) == 1 else rows[start:stop, None]
        return values
