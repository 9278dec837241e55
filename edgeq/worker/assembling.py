"""What llama.cpp itself makes of a model: its types, its encoders' blocks out of the pool, its metadata.

Checked against src/llama-quant.cpp of llama.cpp 0c1e570, whose refusals are made here too.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from edgeq.gguf_info import predict_file_bytes, safe
from edgeq.records import Recipe
from edgeq.tensors import importance as importances
from edgeq.tensors import output
from edgeq.tensors.ggml import Ggml
from edgeq.tensors.pool import Pool
from edgeq.tensors.refused import Refused
from edgeq.tensors.source import Source, Tensor, row_bytes
from edgeq.tensors.work import Importance
from edgeq.worker.dry_run import dry_run, known_file_types
from edgeq.worker.refining import PIECE_BYTES, Encoded, Refining, pieces

Bytes = np.ndarray[Any, np.dtype[np.uint8]]
Floats = np.ndarray[Any, np.dtype[np.float32]]
_QUANTIZATION_VERSION = 2  # GGML_QNT_VERSION in ggml.h


@dataclass(frozen=True)
class Assembly:
    """Files of one job: see `edgeq.tensors.work.Stock`. ``types``: by its recipe, of its source; ``metadata``: new."""

    source: Source
    types: Mapping[str, str]
    metadata: Mapping[str, str | int]
    pool: Pool
    ggml: Ggml
    on_progress: Callable[[int, int], None]
    refining: Refining | None = None

    def __call__(
        self,
        source: Path,
        out: Path,
        recipe: Recipe,
        importance: Importance | None,
        scales: Mapping[str, Floats] | None = None,
    ) -> None:
        own = source == self.source.path
        model = self.source if own else Source(source)
        types = self.types if own else dry_run(source, recipe, importance).types
        if types.keys() != model.tensors.keys():
            odd = sorted(types.keys() ^ model.tensors.keys())[0]
            raise Refused(f"llama.cpp does not say what becomes of the tensor {safe(odd)}")
        # Refusals come before the first tensor is encoded.
        encoded = {name: kind for name, kind in types.items() if kind != model.tensors[name].type}
        weights = {
            name: importances.of_encoder(importance, model.tensors[name], kind, recipe.file_type)
            for name, kind in encoded.items()
        }

        refined: dict[str, Path] = {}
        if self.refining:
            self.refining.scales = scales or {}
            refined = self._refined(self.refining, model, encoded, weights)

        def data(name: str) -> Iterator[Bytes]:
            tensor = model.tensors[name]
            if name in refined:
                return pieces(refined[name], row_bytes(types[name], tensor.row_length) * tensor.n_rows)
            return self._encoded(tensor, types[name], weights[name]) if name in encoded else self._copied(tensor)

        # llama.cpp sets these anew, whatever their types were: they come last, numbers as u32.
        metadata: dict[str, str | int | float] = {
            "general.quantization_version": _QUANTIZATION_VERSION,
            "general.file_type": known_file_types()[recipe.file_type],
            **self.metadata,
            **(self.refining.metadata() if self.refining else {}),
        }
        planned = [(name, model.tensors[name].shape, kind) for name, kind in types.items()]
        write = partial(output.write, out, model, planned, data, metadata, self.on_progress, dropped=tuple(metadata))
        try:
            write()
        except OSError as e:
            # The file's bytes are claimed first: from then on it is the pool that has to manage with the rest.
            n_bytes = predict_file_bytes(model.header, types, metadata)
            if e.errno not in (errno.ENOSPC, errno.EDQUOT) or not self.pool.make_room(n_bytes):
                raise
            write()

    def _refined(
        self, refining: Refining, model: Source, encoded: Mapping[str, str], weights: Mapping[str, Floats | None]
    ) -> dict[str, Path]:
        parts = []
        for name, kind in encoded.items():
            tensor = model.tensors[name]
            if refining.has(tensor, kind):
                path = self.pool.encoded(tensor, kind, weights[name])
                parts.append(Encoded(tensor, kind, path, 0, path.name))
        better = refining.refine(parts, self.on_progress)
        for part in parts:
            if part.tensor.name in better:
                self.pool.release(part.path)
        return better

    def _encoded(self, tensor: Tensor, kind: str, weights: Any) -> Iterator[Bytes]:
        path = self.pool.encoded(tensor, kind, weights)
        while (file := _opened(path)) is None:
            path = self.pool.encoded(tensor, kind, weights)
        with file:
            while piece := file.read(PIECE_BYTES):
                yield np.frombuffer(piece, np.uint8)
        self.pool.release(path)

    def _copied(self, tensor: Tensor) -> Iterator[Bytes]:
        for start, stop in tensor.steps():
            raw = tensor.read(start, stop)
            if not self.ggml.is_valid(tensor.type, raw):
                raise Refused(f"{safe(tensor.name)} has weights that are not finite numbers")
            yield raw


def _opened(path: Path) -> BinaryIO | None:
    """A file of the pool, unless another process has needed its room this very moment."""
    try:
        return path.open("rb")
    except FileNotFoundError:
        return None
