"""A model in a new file as floating-point numbers, rescaled and padded; one tensor in memory at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from gguf import quants

from edgeq import models, store
from edgeq.convert import padding, regrid
from edgeq.convert.padding import Padding
from edgeq.errors import InputError
from edgeq.records import Gguf
from edgeq.records import Source as Origin
from edgeq.tensors import families, output
from edgeq.tensors.factors import Factors
from edgeq.tensors.families import Family
from edgeq.tensors.refused import Refused
from edgeq.tensors.source import Source, Tensor, row_bytes

Floats = np.ndarray[Any, np.dtype[np.float32]]
Bytes = np.ndarray[Any, np.dtype[np.uint8]]

# Keys in the file that say what was done.
REGRID_SEED, PADDED_FROM = "edgeq.regrid_seed", "edgeq.padded_from"
# What the new weights no longer are.
_OF_QUANTIZING = (models.REQUANTIZED, "edgeq.recipe_sha256", "quantize.imatrix.")
_FILE_TYPES = {
    "F32": gguf.LlamaFileType.ALL_F32,
    "F16": gguf.LlamaFileType.MOSTLY_F16,
    "BF16": gguf.LlamaFileType.MOSTLY_BF16,
}
_VERSION = 1  # of what is written from the same inputs


def rewrite(
    model: Gguf,
    folder: Path,
    *,
    outtype: str,
    regridded: bool,
    pad_rows: int | None,
    on_progress: Callable[[str], None],
    on_share: Callable[[float], None],
) -> Gguf:
    """``folder/NAME[-regrid][-padN]-TYPE.gguf``; the model itself where there is nothing to do.

    Raises InputError for a graph that is not covered, for rows that can't be padded, and for values that can't be
    read or don't fit the type.
    """
    try:
        source = Source(Path(model.path))
        plan = _plan(model, source, outtype, regridded, pad_rows)
        if not plan.name:
            on_progress(f"all rows are multiples of {pad_rows} already")
            return model
        return _write(model, source, plan, folder, on_progress, on_share)
    except Refused as e:
        raise InputError(str(e), "Take another model, or leave out --regrid and --pad-rows.") from None


@dataclass(frozen=True)
class _Plan:
    """What to do. ``name``: of that, in file names; ``kind``: the type of matrices."""

    name: str
    kind: str
    family: Family
    factors: Factors
    padding: Padding | None
    metadata: dict[str, str | int | float]

    def shape(self, tensor: Tensor) -> tuple[int, ...]:
        """The new shape, the row length first."""
        sizes = self.padding.sizes if self.padding else {}
        axes = self.family.axes(tensor.name)
        return tuple(sizes.get(axis, size) for axis, size in zip(axes, tensor.shape, strict=True))

    def type(self, tensor: Tensor) -> str:
        """The new type: vectors stay F32, as in llama.cpp's own converter."""
        return self.kind if len(tensor.shape) > 1 else "F32"

    def data(self, tensor: Tensor) -> Bytes:
        """The new tensor's bytes, (rows, bytes of a row); a vector is one row. Raises InputError."""
        shape, kind = self.shape(tensor), self.type(tensor)
        columns, *rows = (self.padding.places.get(a) if self.padding else None for a in self.family.axes(tensor.name))
        out = np.zeros((*shape[1:], row_bytes(kind, shape[0])), np.uint8).reshape(-1, row_bytes(kind, shape[0]))
        for start, stop in tensor.steps():
            values = self.factors.scaled(tensor, start, stop)
            place: Any = slice(start, stop) if not rows or rows[0] is None else rows[0][start:stop]
            out[place] = _encoded(tensor.name, kind, _placed(values, columns, shape[0]))
        return out


def _plan(model: Gguf, source: Source, outtype: str, regridded: bool, pad_rows: int | None) -> _Plan:
    family = families.of(source)
    factors = regrid.factors(family) if regridded else Factors()
    kind = outtype.upper() if outtype != "auto" else _natural_type(model, regridded)
    name, metadata = "", dict[str, str | int | float]()
    if regridded:
        name, metadata[REGRID_SEED] = "-regrid", regrid.SEED
    elif models.is_quantized(model):
        metadata[models.REQUANTIZED] = 1
    if pad_rows and (padded := padding.padding(family, pad_rows, _epsilon(source))):
        name += f"-pad{pad_rows}"
        padding.correct_norms(factors, family, padded.sizes["embd"])
        metadata |= {**padded.metadata, PADDED_FROM: family.n_embd}
    else:
        padded = None
    metadata["general.file_type"] = int(_FILE_TYPES[kind])
    return _Plan(name, kind, family, factors, padded, metadata)


def _natural_type(model: Gguf, regridded: bool) -> str:
    """F16 for new values, which it keeps more digits of than BF16; else the type that the model has."""
    if regridded or models.is_quantized(model):
        return "F16"
    return max(model.tensor_types, key=lambda kind: model.tensor_types[kind])


def _epsilon(source: Source) -> float:
    value = source.number("attention.layer_norm_rms_epsilon")
    if value is None:
        raise Refused(f"{source.path.name} has no {source.arch}.attention.layer_norm_rms_epsilon.")
    return value


def _write(
    model: Gguf,
    source: Source,
    plan: _Plan,
    folder: Path,
    on_progress: Callable[[str], None],
    on_share: Callable[[float], None],
) -> Gguf:
    name = model.source.repo.split("/")[-1] if model.source else Path(model.path).stem
    out = folder / f"{name}{plan.name}-{plan.kind}.gguf"
    key = store.key_of("rewrite", model.sha256, plan.name, plan.kind, regrid.SEED, _VERSION)
    if (found := store.find(out.with_suffix(".json"), Gguf, key)) and _is_whole(out, found):
        return found
    _check_types(source)
    planned = [(n, plan.shape(t), plan.type(t)) for n, t in source.tensors.items()]
    n_bytes = sum(row_bytes(kind, shape[0]) * int(np.prod(shape[1:], dtype=np.int64)) for _, shape, kind in planned)
    store.make_folder(folder)
    store.need_space(folder, n_bytes, "The rewritten model")
    on_progress(f"writing {out.name}")
    temporary = store.partial(out)
    with store.removing(temporary):
        with store.writing(out):
            output.write(
                temporary,
                source,
                planned,
                lambda tensor: plan.data(source.tensors[tensor]),
                plan.metadata,
                lambda done, total: on_share(done / total),
                dropped=_OF_QUANTIZING if REGRID_SEED in plan.metadata else (),
            )
        models.describe(temporary)  # refuses a damaged header before the file gets its name
        store.publish(temporary, out)
    record = models.describe(out, source=model.source or _origin(model, source))
    store.save(out.with_suffix(".json"), record, key)
    return record


def _is_whole(path: Path, record: Gguf) -> bool:
    return path.exists() and path.stat().st_size == record.n_bytes


def _origin(model: Gguf, source: Source) -> Origin:
    """The file that was rewritten, by its name and hash."""
    told = source.header.metadata.get("general.license")
    return Origin(
        repo=Path(model.path).name,
        revision=model.sha256,
        arch=model.arch,
        n_params=model.n_params,
        license=told if isinstance(told, str) else None,
    )


def _check_types(source: Source) -> None:
    for kind, tensor in {t.type: t for t in source.tensors.values()}.items():
        try:
            tensor.rows(0, 1)
        except (KeyError, NotImplementedError):
            raise Refused(f"{source.path.name} has weights in {kind}, which can't be decoded here.") from None


def _placed(values: Floats, places: np.ndarray[Any, Any] | None, n_columns: int) -> Floats:
    if places is None or values.shape[1] == n_columns:
        return values
    wide = np.zeros((len(values), n_columns), np.float32)
    wide[:, places] = values
    return wide


def _encoded(name: str, kind: str, values: Floats) -> Bytes:
    if kind == "F16" and np.abs(values).max() > np.finfo(np.float16).max:
        raise InputError(f"{name} has values that are too large for F16.", "Use --outtype f32.")
    encoded = quants.quantize(values, gguf.GGMLQuantizationType[kind])
    return np.ascontiguousarray(encoded).view(np.uint8)
