"""Writing GGUF: a copy of a model with other tensors or metadata, a tensor at a time, or new bytes in their place."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from gguf.constants import GGUFEndian

from edgeq.errors import InputError
from edgeq.tensors.source import Source, row_bytes

Bytes = np.ndarray[Any, np.dtype[Any]]
# (name, shape with the row length first, type)
Planned = tuple[str, tuple[int, ...], str]
_LOCAL = ("GGUF.", "split.")  # of the file that is read, not of the model


def patch(path: Path, offset: int, data: Bytes) -> None:
    """Put bytes into a file in place of those that lie at ``offset``."""
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(np.ascontiguousarray(data).data)


def write(
    out: Path,
    source: Source,
    planned: Iterable[Planned],
    data: Callable[[str], Bytes],
    metadata: Mapping[str, str | int | float] | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    *,
    dropped: tuple[str, ...] = (),
) -> None:
    """A model with the source's metadata and these tensors; ``data(name)`` gives each one's bytes when its turn comes.

    ``metadata`` replaces values and keeps their types; new text, whole and other numbers are string, u32 and f32.
    ``dropped``: beginnings of keys that the copy must not have.
    """
    writer = gguf.GGUFWriter(out, source.arch, endianess=GGUFEndian.LITTLE)
    _add_metadata(writer, source, dict(metadata or {}), (*_LOCAL, *dropped))
    tensors = list(planned)
    for name, shape, kind in tensors:
        n_bytes = row_bytes(kind, shape[0]) * int(np.prod(shape[1:], dtype=np.int64))
        dtype = np.dtype(np.float32)  # not looked at where the type is given
        writer.add_tensor_info(name, shape[::-1], dtype, n_bytes, gguf.GGMLQuantizationType[kind])
    with _writing(writer):
        writer.write_ti_data_to_file()
        for done, (name, _, _) in enumerate(tensors, 1):
            writer.write_tensor_data(data(name))
            on_progress(done, len(tensors))


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
    with _writing(writer):
        writer.write_tensors_to_file()


@contextlib.contextmanager
def _writing(writer: Any) -> Iterator[None]:
    """The file's beginning is written, and what the caller adds is on the disk at the end."""
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        yield
        for file in writer.fout or ():
            file.flush()
            os.fsync(file.fileno())
    except OSError as e:
        # numpy's tofile says how much was written and not why it was not all: the disk is full.
        raise OSError(e.errno or errno.ENOSPC, e.strerror or os.strerror(errno.ENOSPC)) from e
    finally:
        writer.close()


def _add_metadata(
    writer: Any, source: Source, metadata: dict[str, str | int | float], dropped: tuple[str, ...]
) -> None:
    reader = gguf.GGUFReader(source.header.parts[0])
    writer.kv_data = [{}]  # GGUFWriter begins with general.architecture, which comes in its own place
    for key, field in reader.fields.items():
        if key.startswith(dropped):
            continue
        kind, of = field.types[0], field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
        try:
            value = metadata.pop(key, None)
            value = field.contents() if value is None else value
        except UnicodeDecodeError:
            raise InputError(f"{key} of {source.path} is no UTF-8 text.", "The file is damaged: get another.") from None
        writer.add_key_value(key, value, kind, of)
    for key, value in metadata.items():
        kind = {str: gguf.GGUFValueType.STRING, int: gguf.GGUFValueType.UINT32}.get(
            type(value), gguf.GGUFValueType.FLOAT32
        )
        writer.add_key_value(key, value, kind)
