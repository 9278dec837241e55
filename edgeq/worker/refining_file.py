"""Refining a file that is there: from its own blocks, of whatever tool, with the model that it was made from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edgeq import records
from edgeq.gguf_info import safe
from edgeq.tensors import output
from edgeq.tensors.ggml import Ggml
from edgeq.tensors.moments import Moments
from edgeq.tensors.pool import Pool
from edgeq.tensors.refining import Refiner
from edgeq.tensors.refused import Refused
from edgeq.tensors.source import Source, Tensor
from edgeq.worker.dry_run import library
from edgeq.worker.events import Events
from edgeq.worker.refining import Encoded, Refining, pieces

Bytes = np.ndarray[Any, np.dtype[np.uint8]]

# Relative squared error, of a few rows, above which blocks are of other weights: Q2_K has 0.1, unrelated weights 2.
_ESTRANGED = 0.5
_COMPARED_ROWS = 16


def refine(request: dict[str, Any], events: Events) -> None:
    """One file with refined blocks; what is not refined is copied."""
    file, source = Source(Path(request["file"])), Source(Path(request["source"]))
    ggml = Ggml(library(), request["n_threads"])
    pool = Pool(Path(request["pool"]), ggml)
    record = msgspec.convert(request["moments"], records.Moments)
    moments = Moments(Path(record.path))
    moments.check(source.header)
    refining = Refining(moments, record, Refiner(Path(request["refiner"]), ggml.n_threads), pool)
    parts = []
    for made in file.tensors.values():
        tensor = _original(source, made)
        if made.type == tensor.type:
            _check_same(made, tensor)
        elif refining.has(tensor, made.type):
            _check_made_from(made, tensor)
            parts.append(Encoded(tensor, made.type, made.path, made.info.offset, pool.digest(made)))
    if not parts:
        raise Refused("no tensor of this file can be refined: none has a type with a refiner and known moments")

    def progress(done: int, total: int) -> None:
        events.send("progress", done=done, total=total)

    better = refining.refine(parts, progress)

    def data(name: str) -> Iterator[Bytes]:
        tensor = file.tensors[name]
        if name in better:
            yield from pieces(better[name], tensor.info.n_bytes)
            return
        for start, stop in tensor.steps():
            yield tensor.read(start, stop)

    planned = [(name, t.shape, t.type) for name, t in file.tensors.items()]
    try:
        output.write(Path(request["out"]), file, planned, data, refining.metadata())
    except OSError as e:
        raise Refused(f"the file could not be written ({e.strerror})", "output") from None
    events.send("refined", classes=refining.classes)


def _original(source: Source, made: Tensor) -> Tensor:
    tensor = source.tensors.get(made.name)
    if tensor is None or tensor.shape != made.shape:
        raise Refused(f"the file was not made from this source, which has no {safe(made.name)} of its shape")
    return tensor


def _check_same(made: Tensor, tensor: Tensor) -> None:
    """Raise Refused where what is not quantized differs: the norms, where scales were folded in."""
    for start, stop in tensor.steps():
        if not np.array_equal(made.read(start, stop), tensor.read(start, stop)):
            raise Refused(
                f"the file was not made from this source: {safe(made.name)} differs. "
                "Where scales were folded in, refine while quantizing"
            )


def _check_made_from(made: Tensor, tensor: Tensor) -> None:
    """Raise Refused for blocks that stand for other weights than the source's."""
    step = max(1, tensor.n_rows // _COMPARED_ROWS)
    rows = range(0, tensor.n_rows, step)
    theirs = np.concatenate([tensor.rows(r, r + 1) for r in rows])
    ours = np.concatenate([made.rows(r, r + 1) for r in rows])
    if not float(np.square(ours - theirs).sum()) <= _ESTRANGED * float(np.square(theirs).sum()):
        raise Refused(f"the file was not made from this source: {safe(made.name)} has other weights")
