"""What a quantization method is given in the worker process, and what it says it has made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from edgeq.records import Recipe
from edgeq.tensors.ggml import Ggml
from edgeq.tensors.source import Source, is_embedding

Floats = np.ndarray[Any, np.dtype[np.float32]]
# {tensor name: importance of each column}; of a tensor of experts, one after the other.
Importance = Mapping[str, Floats]


class Stock(Protocol):
    """What llama.cpp itself makes of a source, with an importance matrix or none, and refined where that is asked."""

    def __call__(
        self,
        source: Path,
        out: Path,
        recipe: Recipe,
        importance: Importance | None,
        scales: Mapping[str, Floats] | None = None,
    ) -> None:
        """Make ``out``. ``scales``: what the columns of the model's matrices were multiplied by. Raises Refused."""


@dataclass(frozen=True)
class Made:
    """What there is to know of a file beyond its bytes: see `edgeq.records.Gguf`. ``adapter``: path and rank."""

    ideal_bpw: float | None = None
    adapter: Path | None = None
    rank: int = 0
    adapter_type: str = ""


@dataclass(frozen=True)
class Work:
    """One file to make: ``out`` from ``source`` by ``recipe``. ``importance`` is None where none is used.

    ``types``: what llama.cpp makes of each tensor by this recipe, upper case, given the importance unless the option
    ``weigh`` is false; fallbacks and mixes are in it.
    ``scratch`` is a folder for files on the way, on the disk of ``out``, that the caller removes. ``options``: the
    recipe's, completed with the method's defaults.
    """

    source: Source
    recipe: Recipe
    types: Mapping[str, str]
    importance: Importance | None
    ggml: Ggml
    stock: Stock
    out: Path
    scratch: Path
    n_threads: int
    on_progress: Callable[[int, int], None]
    options: Mapping[str, Any] = field(default_factory=dict)

    def stock_file(self, out: Path | None = None) -> Source:
        """What llama.cpp itself makes of the source by this recipe, as ``out``."""
        path = out or self.out
        self.stock(self.source.path, path, self.recipe, self.importance)
        return Source(path)

    def quantized(self, made: Source) -> list[str]:
        """Names of the weight matrices that have another type in ``made`` than in the source, embeddings left out."""
        return [
            name
            for name, tensor in made.tensors.items()
            if tensor.type != self.source.tensors[name].type and not is_embedding(name)
        ]
