"""Making files: each recipe's method at work, with llama.cpp's own quantize function under it."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as llama
import msgspec
import numpy as np

from edgeq import plugins
from edgeq.errors import InputError
from edgeq.records import Recipe
from edgeq.tensors.ggml import Ggml
from edgeq.tensors.refused import Refused
from edgeq.tensors.source import Source
from edgeq.tensors.work import Importance, Made, Work
from edgeq.worker.events import Events
from edgeq.worker.imatrix import read_imatrix
from edgeq.worker.log import Log, tensor_types

Progress = Callable[[int, int], None]
_FTYPE_PREFIXES = ("LLAMA_FTYPE_MOSTLY_", "LLAMA_FTYPE_ALL_")


class Job(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file to make. ``metadata``: keys to set in it; ``imatrix``: path of the matrix to use, if any."""

    recipe: Recipe
    metadata: dict[str, str | int]
    imatrix: str | None = None
    out: str = ""
    scratch: str = ""


def known_file_types() -> dict[str, int]:
    """{Q4_K_M: 15, ...}: the names of the header's enumeration that the library itself recognizes."""
    name_of = llama._lib.llama_ftype_name
    name_of.restype, name_of.argtypes = ctypes.c_char_p, [ctypes.c_int]
    found = {
        constant.removeprefix(prefix): int(getattr(llama, constant))
        for constant in vars(llama)
        for prefix in _FTYPE_PREFIXES
        if constant.startswith(prefix)
    }
    return {name: n for name, n in sorted(found.items()) if not name_of(n).startswith(b"unknown")}


def plan(request: dict[str, Any], events: Events) -> None:
    """Dry runs of llama.cpp's quantize function."""
    for job in msgspec.convert(request["jobs"], list[Job]):
        importance = read_imatrix(Path(job.imatrix)) if job.imatrix else None
        with Log() as log:
            _call(Path(request["source"]), Path(), job, importance, log, n_threads=1, dry_run=True, requantize=True)
        needs = "will require an imatrix" in log.text
        events.send("plan", name=job.recipe.name, types=tensor_types(log.text), needs_imatrix=needs)


def quantize(request: dict[str, Any], events: Events) -> None:
    """One file for each job."""
    source = Source(Path(request["source"]))
    ggml = Ggml(library(), request["n_threads"])
    for job in msgspec.convert(request["jobs"], list[Job]):
        method = plugins.module("quants", job.recipe.method)
        importance = read_imatrix(Path(job.imatrix)) if job.imatrix else None

        def progress(done: int, total: int, name: str = job.recipe.name) -> None:
            events.send("progress", name=name, done=done, total=total)

        stock = _Stock(job, request["n_threads"], request["requantize"], progress)
        work = Work(
            source=source,
            recipe=job.recipe,
            importance=importance,
            ggml=ggml,
            stock=stock,
            out=Path(job.out),
            scratch=Path(job.scratch),
            n_threads=request["n_threads"],
            on_progress=progress,
            options={**method.OPTIONS, **job.recipe.options},
        )
        try:
            made: Made = method.apply(work)
        except InputError as e:
            raise Refused(f"{job.recipe.name}: {e.text}") from None
        except OSError as e:
            raise Refused(f"{job.recipe.name}: the file could not be written ({e.strerror})", "output") from None
        except Refused as e:
            raise Refused(f"{job.recipe.name}: {e}", e.code) from None
        events.send(
            "made",
            name=job.recipe.name,
            ideal_bpw=made.ideal_bpw,
            adapter=str(made.adapter) if made.adapter else None,
            rank=made.rank,
            adapter_type=made.adapter_type,
        )


def library() -> Path:
    """The build's libggml-base, beside the library that the binding has loaded."""
    return Path(llama._base_path) / f"libggml-base{Path(llama._lib._name).suffix}"


@dataclass(frozen=True)
class _Stock:
    """llama_model_quantize, for one job: see `edgeq.tensors.work.Stock`."""

    job: Job
    n_threads: int
    requantize: bool
    on_progress: Progress

    def __call__(self, source: Path, out: Path, recipe: Recipe, importance: Importance | None) -> None:
        job = msgspec.structs.replace(self.job, recipe=recipe)
        with Log(self.on_progress) as log:
            _call(source, out, job, importance, log, n_threads=self.n_threads, requantize=self.requantize)


def _call(
    source: Path,
    out: Path,
    job: Job,
    importance: Importance | None,
    log: Log,
    *,
    n_threads: int,
    requantize: bool,
    dry_run: bool = False,
) -> None:
    recipe = job.recipe
    params = llama.llama_model_quantize_default_params()
    params.nthread = n_threads
    params.ftype = known_file_types()[recipe.file_type]
    params.allow_requantize = requantize
    params.pure = recipe.pure
    params.dry_run = dry_run
    types = _ggml_types()
    if recipe.token_embedding_type:
        params.token_embedding_type = _type(types, recipe.token_embedding_type)
    if recipe.output_tensor_type:
        params.output_tensor_type = _type(types, recipe.output_tensor_type)
    if recipe.overrides:
        rows = [(pattern.encode(), _type(types, name)) for pattern, name in recipe.overrides]
        params.tt_overrides = (llama.llama_model_tensor_override * (len(rows) + 1))(*rows, (None, len(types)))
    keep: list[object] = []
    if importance:
        # A type that ignores the matrix (Q8_0) is still given it, as llama-quantize does.
        params.imatrix = _imatrix(importance, keep)
    if job.metadata:
        params.kv_overrides = _metadata(job.metadata)
    if llama.llama_model_quantize(str(source).encode(), str(out).encode(), ctypes.byref(params)) != 0:
        text = log.error or "llama.cpp gave no reason"
        code = "output" if "iostream" in text or "ios_base" in text else "input"
        raise Refused("the file could not be written" if code == "output" else text, code)


def _imatrix(entries: Importance, keep: list[object]) -> Any:
    rows = []
    for name, values in entries.items():
        data = np.ascontiguousarray(values, np.float32)
        keep.append(data)
        rows.append((name.encode(), data.ctypes.data_as(ctypes.POINTER(ctypes.c_float)), data.size))
    return (llama.llama_model_imatrix_data * (len(rows) + 1))(*rows, (None, None, 0))


def _metadata(values: Mapping[str, str | int]) -> Any:
    array = (llama.llama_model_kv_override * (len(values) + 1))()
    for slot, (key, value) in zip(array, values.items(), strict=False):
        slot.key = key.encode()
        if isinstance(value, str):
            slot.tag = llama.LLAMA_KV_OVERRIDE_TYPE_STR
            slot.value.val_str = value.encode()[:127]
        else:
            slot.tag = llama.LLAMA_KV_OVERRIDE_TYPE_INT
            slot.value.val_i64 = value
    return array


def _ggml_types() -> dict[str, int]:
    """{q4_K: 12, ...} as ggml prints them, asked of the library."""
    base = ctypes.CDLL(str(library()))
    base.ggml_type_name.restype = ctypes.c_char_p
    names = (base.ggml_type_name(i) for i in range(llama.GGML_TYPE_COUNT))
    return {name.decode().lower(): i for i, name in enumerate(names) if name}


def _type(types: dict[str, int], name: str) -> int:
    try:
        return types[name.lower()]
    except KeyError:
        raise Refused(f"{name} is not a tensor type; valid are {', '.join(sorted(types)).upper()}") from None
