"""An importance matrix: llama.cpp's GGUF form and the binary form that it had before (``imatrix.dat``)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec
import numpy as np
import numpy.typing as npt

from edgeq import store
from edgeq.gguf_info import Header, TensorInfo, safe
from edgeq.records import Imatrix
from edgeq.show.page import Grid, Page, size

F64 = npt.NDArray[np.float64]

_SUMS, _COUNTS = ".in_sum2", ".counts"
_I32 = struct.Struct("<i")
_MAX_ENTRIES = 1 << 17
_MAX_NAME = 1 << 12
_SHOWN = 5


class _Entry(msgspec.Struct, frozen=True):
    """One weight: how often it was used, at least and at most over its matrices, and its mean squared input."""

    name: str
    n_matrices: int
    n_unused: int
    least: int
    most: int
    mean_square: float


def gguf_imatrix(path: Path, header: Header) -> Page:
    """Datasets, chunks, entries, and which of them were used least and most, in tokens."""
    counts = {t.name.removesuffix(_COUNTS): t for t in header.tensors if t.name.endswith(_COUNTS)}
    entries = []
    with path.open("rb") as file:
        for tensor in header.tensors:
            name = tensor.name.removesuffix(_SUMS)
            if name != tensor.name and name in counts and tensor.type == counts[name].type == "F32":
                entries.append(_entry(name, _values(file, tensor), _values(file, counts[name])))
        datasets = strings(file, header, "imatrix.datasets")
    beside = path.with_suffix(".json")
    made = store.try_load(beside, Imatrix) if beside.exists() else None
    chunks, n_ctx = (header.metadata.get(f"imatrix.chunk_{key}") for key in ("count", "size"))
    data: dict[str, object] = {"form": "GGUF", "datasets": datasets, "n_chunks": chunks, "n_ctx": n_ctx}
    facts = [("datasets", ", ".join(datasets)), ("chunks", f"{chunks} of {n_ctx} tokens")]
    if made and made.sha256 == store.sha256_file(path):
        facts.append(("computed from", f"model {made.model_sha256[:16]}..., as {beside.name} says"))
    return _page(path, facts, entries, "tokens", data)


def legacy_imatrix(path: Path) -> Page | None:
    """As `gguf_imatrix` for the form before GGUF, where uses are counted in chunks; None for any other file."""
    n_bytes = path.stat().st_size
    try:
        with path.open("rb") as file:
            n = _count(file, _MAX_ENTRIES)
            entries = [_legacy_entry(file, n_bytes) for _ in range(n)]
            # The two last fields came later than the form itself.
            chunks = _count(file, 1 << 30) if file.tell() < n_bytes else None
            dataset = _take(file, _count(file, _MAX_NAME)).decode(errors="replace") if file.tell() < n_bytes else ""
            if not entries or file.tell() != n_bytes:
                return None
    except (ValueError, struct.error):
        return None
    facts = [("datasets", dataset), ("chunks", "-" if chunks is None else str(chunks))]
    data: dict[str, object] = {"form": "before GGUF", "datasets": [dataset] if dataset else [], "n_chunks": chunks}
    return _page(path, facts, entries, "chunks", data)


def _page(path: Path, facts: list[tuple[str, str]], entries: list[_Entry], unit: str, data: dict[str, object]) -> Page:
    ordered = sorted(entries, key=lambda e: (e.least, e.mean_square))
    unused = sum(e.n_unused for e in entries)
    uses = sorted({e.least for e in entries} | {e.most for e in entries})
    facts += [
        ("entries", f"{len(entries):,} weights, {sum(e.n_matrices for e in entries):,} matrices"),
        (
            "used",
            f"{uses[0]:,} to {uses[-1]:,} {unit}" if len(uses) > 1 else f"all {uses[0]:,} {unit}" if uses else "-",
        ),
        ("never used", f"{unused:,} matrices: they are quantized as if there were no matrix" if unused else "none"),
        ("size", size(path.stat().st_size)),
        ("form", str(data["form"])),
    ]
    few = len(ordered) <= 2 * _SHOWN
    grids = [_grid("Entries" if few else "Least used", ordered if few else ordered[:_SHOWN], unit)]
    if not few:
        grids.append(_grid("Most used", ordered[::-1][:_SHOWN], unit))
    whole = {"kind": "imatrix", "path": safe(str(path), 4096), **data, "unit": unit, "entries": entries}
    return Page("Importance matrix", str(path), tuple(facts), tuple(grids), whole)


def _grid(title: str, entries: Sequence[_Entry], unit: str) -> Grid:
    rows = [(e.name, f"{e.n_matrices}", f"{e.least:,}", f"{e.most:,}", f"{e.mean_square:.4g}") for e in entries]
    columns = ("weight", "matrices", f"{unit}, least", "most", "mean x²")
    return Grid(f"{title} (then by the mean square of the input)", columns, tuple(rows))


def _entry(name: str, sums: F64, counts: F64) -> _Entry:
    n = len(counts)
    used = counts > 0
    mean = 0.0
    if n and len(sums) % n == 0 and used.any():
        mean = float((sums.reshape(n, -1)[used] / counts[used, None]).mean())
    whole = np.where(np.isfinite(counts), counts, 0)
    return _Entry(
        name, n, int((~used).sum()), int(whole.min(initial=2**53)) if n else 0, int(whole.max(initial=0)), mean
    )


def _legacy_entry(file: BinaryIO, n_bytes: int) -> _Entry:
    name = _take(file, _count(file, _MAX_NAME)).decode()
    n_calls, n_values = _count(file, 1 << 30), _count(file, n_bytes // 4)
    values = np.frombuffer(_take(file, 4 * n_values), "<f4").astype(np.float64)
    mean = float(values.mean()) / n_calls if n_calls and n_values else 0.0
    return _Entry(name, 1, int(n_calls == 0), n_calls, n_calls, mean)


def _values(file: BinaryIO, tensor: TensorInfo) -> F64:
    file.seek(tensor.offset)
    return np.frombuffer(_take(file, tensor.n_bytes), "<f4").astype(np.float64)


def strings(file: BinaryIO, header: Header, key: str) -> list[str]:
    """The strings of an array in the metadata, which the header has checked and does not keep."""
    if header.kv_types.get(key) != "arr":
        return []
    before = list(header.kv_bytes)[: list(header.kv_bytes).index(key)]
    file.seek(24 + sum(header.kv_bytes[k] for k in before))
    data = _take(file, header.kv_bytes[key])
    at = 8 + len(key.encode())
    _, element, count = struct.unpack_from("<iiQ", data, at)
    if element != 8:  # GGUF_TYPE_STRING
        return []
    found, at = [], at + 16
    for _ in range(min(count, 1000)):
        (length,) = struct.unpack_from("<Q", data, at)
        found.append(data[at + 8 : at + 8 + length].decode(errors="backslashreplace"))
        at += 8 + length
    return found


def _count(file: BinaryIO, limit: int) -> int:
    (n,) = _I32.unpack(file.read(4))
    if not 0 <= n <= limit:
        raise ValueError(n)
    return int(n)


def _take(file: BinaryIO, n: int) -> bytes:
    data = file.read(n)
    if len(data) != n:
        raise ValueError(n)
    return data
