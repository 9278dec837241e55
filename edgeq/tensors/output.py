"""Writing GGUF: a copy of a model with other tensors or metadata, a tensor at a time, or new bytes in their place."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import gguf
import numpy as np
from gguf.constants import GGUFEndian

from edgeq import store
from edgeq.gguf_header import VALUE_TYPES
from edgeq.gguf_info import TYPE_NAMED
from edgeq.tensors.source import Source, row_bytes

Bytes = np.ndarray[Any, np.dtype[Any]]
# (name, shape with the row length first, type)
Planned = tuple[str, tuple[int, ...], str]
Value = str | int | float

_MAGIC, _VERSION = b"GGUF", 3
_PAIRS_AT = 4 + 4 + 8 + 8  # behind the magic, the version and the two counts
_OF_SPLITTING = ("split.no", "split.count", "split.tensors.count")  # of the files that are read, not of the model
_TYPE_IDS = {name: number for number, (name, _) in VALUE_TYPES.items()} | {"str": 8}
_NEW_TYPES: dict[type, str] = {bool: "bool", int: "u32", float: "f32", str: "str"}


def patch(path: Path, offset: int, data: Bytes) -> None:
    """Put bytes into a file in place of those that lie at ``offset``."""
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(np.ascontiguousarray(data).data)


def write(
    out: Path,
    source: Source,
    planned: Iterable[Planned],
    data: Callable[[str], Bytes | Iterator[Bytes]],
    metadata: Mapping[str, Value] | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    *,
    dropped: tuple[str, ...] = (),
) -> None:
    """A model with the source's metadata and these tensors; ``data(name)`` gives each one's bytes when its turn comes.

    They come as one array or, so that they need not be in memory at once, in pieces. ``metadata`` replaces values and
    keeps their types and places; what is new follows at the end: string, u32, f32 or bool. ``dropped``: beginnings of
    keys that are not copied. Raises OSError where the disk is too small, before the first tensor if the system can.
    """
    tensors = list(planned)
    sizes = {name: row_bytes(kind, shape[0]) * int(np.prod(shape[1:], dtype=np.int64)) for name, shape, kind in tensors}
    alignment = source.header.alignment
    pairs = _pairs(source, dict(metadata or {}), dropped)
    offset, entries = 0, []
    for name, shape, kind in tensors:
        entries.append(_entry(name, shape, kind, offset))
        offset += sizes[name] + -sizes[name] % alignment
    head = _MAGIC + struct.pack("<IQQ", _VERSION, len(tensors), len(pairs)) + b"".join([*pairs, *entries])
    head += bytes(-len(head) % alignment)
    with out.open("wb") as file:
        store.reserve(file, len(head) + offset)
        file.write(head)
        for done, (name, _, _) in enumerate(tensors, 1):
            written = _put(file, data(name))
            assert written == sizes[name], name
            file.write(bytes(-written % alignment))
            on_progress(done, len(tensors))
        file.flush()
        os.fsync(file.fileno())


def _put(file: BinaryIO, data: Bytes | Iterator[Bytes]) -> int:
    pieces = [data] if isinstance(data, np.ndarray) else data
    return sum(file.write(np.ascontiguousarray(piece).data) for piece in pieces)


def write_adapter(
    out: Path, arch: str, tensors: Mapping[str, np.ndarray[Any, Any]], rank: int, kind: str, name: str
) -> None:
    """A LoRA adapter as llama.cpp reads it (src/llama-adapter.cpp): alpha = rank, so that its scale is 1.

    ``tensors``: NAME.lora_a (rank, inputs) and NAME.lora_b (outputs, rank), float32; stored as ``kind``.
    """
    writer = gguf.GGUFWriter(out, arch, endianess=GGUFEndian.LITTLE)
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_name(name)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, float(rank))
    stored = gguf.GGMLQuantizationType[kind]
    for key, values in tensors.items():
        packed = gguf.quants.quantize(np.ascontiguousarray(values, np.float32), stored)
        writer.add_tensor(key, packed, raw_dtype=stored)
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        for file in writer.fout or ():
            file.flush()
            os.fsync(file.fileno())
    except OSError as e:
        # numpy's tofile says how much was written and not why it was not all: the disk is full.
        raise OSError(e.errno or errno.ENOSPC, e.strerror or os.strerror(errno.ENOSPC)) from e
    finally:
        writer.close()


def _pairs(source: Source, metadata: dict[str, Value], dropped: tuple[str, ...]) -> list[bytes]:
    """Key-value pairs as they are stored: the source's, byte by byte where they don't change, and new ones."""
    pairs = []
    with source.header.parts[0].open("rb") as file:
        file.seek(_PAIRS_AT)
        for key, n_bytes in source.header.kv_bytes.items():
            pair = file.read(n_bytes)
            if key in _OF_SPLITTING or key.startswith(dropped):
                continue
            if key in metadata:
                kept = source.header.kv_types[key]
                pair = _pair(key, metadata.pop(key), kept if kept in _TYPE_IDS else None)
            pairs.append(pair)
    return pairs + [_pair(key, value) for key, value in metadata.items()]


def _pair(key: str, value: Value, kind: str | None = None) -> bytes:
    kind = kind or _NEW_TYPES[type(value)]
    number = _TYPE_IDS[kind]
    stored = _text(str(value)) if kind == "str" else VALUE_TYPES[number][1].pack(value)
    return _text(key) + struct.pack("<I", number) + stored


def _entry(name: str, shape: tuple[int, ...], kind: str, offset: int) -> bytes:
    # Dimensions of 1 at the end are left out, as ggml_n_dims does not count them.
    n_dims = max((i for i, n in enumerate(shape, 1) if n > 1), default=1)
    return _text(name) + struct.pack(f"<I{n_dims}QIQ", n_dims, *shape[:n_dims], TYPE_NAMED[kind].id, offset)


def _text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data
