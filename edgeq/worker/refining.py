"""Refining what an encoder has made of a model's tensors, and keeping what does less damage on text of another kind."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edgeq import records, store
from edgeq.records import RefinedClass
from edgeq.tensors.moments import Moments
from edgeq.tensors.pool import Pool
from edgeq.tensors.refining import REFINED_TYPES, Refiner
from edgeq.tensors.source import Tensor, row_bytes

Floats = np.ndarray[Any, np.dtype[np.float32]]
Blocks = np.ndarray[Any, np.dtype[np.uint8]]

# 1 is what the importance matrix sees, and 0 believes every correlation that the calibration text shows.
SHRINKAGES = (0.2, 0.35, 0.5, 0.7, 1.0)
_SAMPLED_TENSORS, _SAMPLED_ROWS = 4, 64
_PIECE_VALUES = 1 << 22
PIECE_BYTES = 1 << 22
# Behind the blocks in the pool: validation loss of the encoder's and of the refined blocks, codes changed.
_RESULT = struct.Struct("<ddq")


@dataclass(frozen=True)
class Encoded:
    """What stands for a tensor as ``kind``: blocks in a file from ``offset`` on. ``key``: of the blocks."""

    tensor: Tensor
    kind: str
    path: Path
    offset: int
    key: str

    @property
    def n_bytes(self) -> int:
        """Of the whole tensor."""
        return row_bytes(self.kind, self.tensor.row_length) * self.tensor.n_rows

    @property
    def of_class(self) -> str:
        """Tensors that share a shrinkage: the same matrix of all blocks, in one type."""
        return f"{self.tensor.name.removeprefix('blk.').lstrip('0123456789.').removesuffix('.weight')} {self.kind}"

    def rows(self, start: int, stop: int) -> Blocks:
        """The blocks of some rows, (rows, bytes)."""
        n = row_bytes(self.kind, self.tensor.row_length)
        found = np.fromfile(self.path, np.uint8, (stop - start) * n, offset=self.offset + start * n)
        return found.reshape(-1, n)


@dataclass
class Refining:
    """One model's refining. ``scales``: what columns of its matrices are multiplied by since ``moments`` were measured.

    ``record`` and ``sha256`` are of the moments. ``classes`` says afterwards what came out.
    """

    moments: Moments
    record: records.Moments
    refiner: Refiner
    pool: Pool
    scales: Mapping[str, Floats] = field(default_factory=dict)
    classes: list[RefinedClass] = field(default_factory=list)

    def has(self, tensor: Tensor, kind: str) -> bool:
        """Whether blocks of this tensor can be refined: its type can, and there are moments of its inputs."""
        return kind in REFINED_TYPES and tensor.n_matrices == 1 and self.moments.of(tensor.name) is not None

    def refine(self, parts: Sequence[Encoded], on_progress: Callable[[int, int], None]) -> dict[str, Path]:
        """Files that begin with the blocks of those tensors that are better refined, by the tensors' names."""
        by_class: dict[str, list[Encoded]] = {}
        for part in parts:
            by_class.setdefault(part.of_class, []).append(part)
        better: dict[str, Path] = {}
        self.classes.clear()
        done = 0
        for name, members in sorted(by_class.items()):
            shrinkage = self._shrinkage(members)
            before = after = 0.0
            n_better = n_changed = 0
            for part in members if shrinkage is not None else []:
                path = self._refined(part, shrinkage or 0.0)
                ours, theirs, changed = _result(path, part.n_bytes)
                before += theirs
                after += min(ours, theirs)
                if ours < theirs:
                    better[part.tensor.name] = path
                    n_better += 1
                    n_changed += changed
                else:
                    self.pool.release(path)
                done += 1
                on_progress(done, len(parts))
            n_values = sum(p.tensor.n_rows * p.tensor.row_length for p in members)
            of_loss = after / before if before else 1.0
            self.classes.append(RefinedClass(name, len(members), n_better, shrinkage, of_loss, n_changed / n_values))
        return better

    def metadata(self) -> dict[str, str | int | float]:
        """What a refined file says of it."""
        total = sum(c.n_tensors for c in self.classes)
        return {
            "edgeq.refine.statistics_sha256": self.record.sha256,
            "edgeq.refine.n_tokens": self.record.n_tokens,
            "edgeq.refine.texts": ", ".join(c.name for c in self.record.corpus),
            "edgeq.refine.shrinkage": ", ".join(f"{c.name}: {c.shrinkage or 'none'}" for c in self.classes),
            "edgeq.refine.changed": sum(c.changed * c.n_tensors for c in self.classes) / total if total else 0.0,
        }

    def _shrinkage(self, members: Sequence[Encoded]) -> float | None:
        """λ with the least validation loss on some rows of some of the tensors; None where the encoder's is less."""
        ratios = []
        for i in _spread(len(members), _SAMPLED_TENSORS):
            part = members[i]
            training, validation = self._moments(part)
            picked = _spread(part.tensor.n_rows, _SAMPLED_ROWS)
            rows = np.concatenate([part.tensor.rows(r, r + 1) for r in picked])
            blocks = np.concatenate([part.rows(r, r + 1) for r in picked])
            before = self.refiner.loss(part.kind, rows, blocks, validation)
            if before > 0:
                tried = [self.refiner.refine(part.kind, rows, blocks, training, s).blocks for s in SHRINKAGES]
                ratios.append([self.refiner.loss(part.kind, rows, b, validation) / before for b in tried])
        if not ratios:
            return None
        means = np.mean(ratios, axis=0)
        best = int(means.argmin())
        return SHRINKAGES[best] if means[best] < 1 else None

    def _refined(self, part: Encoded, shrinkage: float) -> Path:
        scales = self.scales.get(part.tensor.name)
        inputs = (self.record.sha256, store.sha256_bytes(scales.tobytes()) if scales is not None else None, shrinkage)
        key = store.key_of("refined", self.pool.digest(part.tensor), part.key, part.kind, self.refiner.sha256, *inputs)
        return self.pool.kept(key, part.n_bytes + _RESULT.size, lambda: self._pieces(part, shrinkage))

    def _pieces(self, part: Encoded, shrinkage: float) -> Iterator[Blocks]:
        training, validation = self._moments(part)
        theirs = ours = 0.0
        n_changed = 0
        for start, stop in part.tensor.steps(_PIECE_VALUES):
            rows, blocks = part.tensor.rows(start, stop), part.rows(start, stop)
            refined = self.refiner.refine(part.kind, rows, blocks, training, shrinkage)
            theirs += self.refiner.loss(part.kind, rows, blocks, validation)
            ours += self.refiner.loss(part.kind, rows, refined.blocks, validation)
            n_changed += refined.changed
            yield refined.blocks
        yield np.frombuffer(_RESULT.pack(ours, theirs, n_changed), np.uint8)

    def _moments(self, part: Encoded) -> tuple[Floats, Floats]:
        found = self.moments.of(part.tensor.name)
        assert found is not None
        scales = self.scales.get(part.tensor.name)
        return found if scales is None else tuple(self.moments.rescaled(m, scales) for m in found)  # type: ignore[return-value]


def pieces(path: Path, n_bytes: int) -> Iterator[Blocks]:
    """The first ``n_bytes`` of a file, in pieces."""
    with path.open("rb") as file:
        while n_bytes:
            piece = file.read(min(n_bytes, PIECE_BYTES))
            n_bytes -= len(piece)
            yield np.frombuffer(piece, np.uint8)


def _result(path: Path, n_bytes: int) -> tuple[float, float, int]:
    with path.open("rb") as file:
        file.seek(n_bytes)
        ours, theirs, n_changed = _RESULT.unpack(file.read(_RESULT.size))
    return ours, theirs, n_changed


def _spread(n: int, at_most: int) -> list[int]:
    """Up to ``at_most`` of 0 to n - 1, evenly spread."""
    return sorted({round(i) for i in np.linspace(0, n - 1, min(n, at_most))})
