"""A GGUF file as a record: header checked first, then hashed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gguf
import msgspec

from edgeq import gguf_info, store
from edgeq.errors import InputError
from edgeq.records import Gguf, Imatrix, Moments, Recipe, Source

# Key in every file that edgeq makes from weights that were quantized before, whatever its own type.
REQUANTIZED = "edgeq.requantized"


def describe(
    path: Path,
    *,
    file_type: str | None = None,
    recipe: Recipe | None = None,
    parent: Gguf | None = None,
    imatrix: Imatrix | None = None,
    source: Source | None = None,
    predicted_bytes: int | None = None,
    on_bytes: Callable[[int], None] | None = None,
) -> Gguf:
    """Check the header of a model file and write down what is in it. Raises InputError with the wrong field."""
    header = gguf_info.read_header(path)
    if not header.n_params or header.arch in ("", "imatrix"):
        raise InputError(f"{path} is a GGUF file without a model in it.", "Give a model file.")
    label = file_type or file_type_name(header.file_type)
    return Gguf(
        path=str(path),
        sha256=store.sha256_file(path, on_bytes),
        n_bytes=header.n_file_bytes,
        arch=header.arch,
        name=gguf_info.safe(header.name or path.stem, 80),
        n_params=header.n_params,
        n_layers=header.n_layers or 0,
        file_type=label,
        bpw=header.n_file_bytes * 8 / header.n_params,
        tensor_types=header.tensor_types,
        on_label=gguf_info.on_label(header, label),
        requantized=REQUANTIZED in header.metadata,
        source=source or (parent.source if parent else None),
        recipe=recipe,
        parent_sha256=parent.sha256 if parent else None,
        imatrix_sha256=imatrix.sha256 if imatrix else None,
        predicted_bytes=predicted_bytes,
    )


def is_quantized(model: Gguf) -> bool:
    """Whether any tensor holds quantized blocks rather than floating-point numbers."""
    return any(t not in ("F32", "F16", "BF16", "F64") for t in model.tensor_types)


def file_type_name(file_type: int | None) -> str:
    """Name of a ``general.file_type`` number (15 -> Q4_K_M), as in llama.cpp's enumeration."""
    try:
        name = gguf.LlamaFileType(file_type).name
    except ValueError:
        return "unknown" if file_type is None else f"type {file_type}"
    return str(name).removeprefix("MOSTLY_").removeprefix("ALL_")


def describe_imatrix(path: Path) -> Imatrix:
    """An importance matrix as a record: edgeq's own if it lies beside the file, else what the file says of itself."""
    header = gguf_info.read_header(path)
    if header.metadata.get("general.type") != "imatrix":
        raise InputError(f"{path} is not an importance matrix.", "`edgeq calibrate` makes one.")
    sha256 = store.sha256_file(path)
    beside = path.with_suffix(".json")
    if beside.exists() and (record := store.load(beside, Imatrix)).sha256 == sha256:
        return msgspec.structs.replace(record, path=str(path))
    return Imatrix(
        path=str(path),
        sha256=sha256,
        corpus=(),
        n_chunks=int(str(header.metadata.get("imatrix.chunk_count", 0))),
        n_ctx=int(str(header.metadata.get("imatrix.chunk_size", 0))),
        model_sha256="",
        n_entries=sum(t.name.endswith(".in_sum2") for t in header.tensors),
    )


def describe_moments(path: Path) -> Moments:
    """Second moments as a record, which lies beside their file."""
    if gguf_info.read_header(path).metadata.get("general.type") != "second-moments":
        raise InputError(f"{path} holds no second moments.", "`edgeq calibrate --second-moments` makes them.")
    beside = path.with_suffix(".json")
    if not beside.exists() or (record := store.load(beside, Moments)).sha256 != store.sha256_file(path):
        raise InputError(
            f"{path} has no record of its own beside it.", f"Copy {beside.name} as well, or calibrate again."
        )
    return msgspec.structs.replace(record, path=str(path))
