"""Encoding tensors into the pool, for who assembles files of them elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from edgeq.gguf_info import safe
from edgeq.tensors import importance as importances
from edgeq.tensors.ggml import Ggml
from edgeq.tensors.pool import Pool
from edgeq.tensors.refused import Refused
from edgeq.tensors.source import Source
from edgeq.worker.dry_run import library
from edgeq.worker.events import Events
from edgeq.worker.imatrix import read_imatrix


def encode(request: dict[str, Any], events: Events) -> None:
    """For each pair of a tensor's name and a type an event with the path of a file that holds its blocks."""
    source = Source(Path(request["source"]))
    pool = Pool(Path(request["pool"]), Ggml(library(), request["n_threads"]))
    importance = read_imatrix(Path(request["imatrix"])) if request["imatrix"] else None
    pairs = msgspec.convert(request["pairs"], list[tuple[str, str]])
    for done, (name, kind) in enumerate(pairs, 1):
        if name not in source.tensors:
            raise Refused(f"the model has no tensor {safe(name)}")
        tensor = source.tensors[name]
        path = pool.encoded(tensor, kind, importances.of_encoder(importance, tensor, kind))
        events.send("encoded", tensor=name, type=kind, path=str(path), done=done, total=len(pairs))
