"""What llama.cpp would make of a model: a dry run of its quantize function, whose log is the only place that tells."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as llama
import msgspec
import numpy as np

from edgeq.records import Recipe
from edgeq.tensors.refused import Refused
from edgeq.tensors.work import Importance
from edgeq.worker.log import Log, tensor_types

_FTYPE_PREFIXES = ("LLAMA_FTYPE_MOSTLY_", "LLAMA_FTYPE_ALL_")


class DryRun(msgspec.Struct, frozen=True):
    """The types of all tensors, upper case, in the order of the file; whether there is no doing without importance."""

    types: dict[str, str]
    needs_imatrix: bool


def dry_run(source: Path, recipe: Recipe, importance: Importance | None) -> DryRun:
    """Ask llama.cpp. That there is an importance matrix changes some mixes. Raises Refused."""
    params = llama.llama_model_quantize_default_params()
    params.dry_run = True
    params.nthread = 1
    params.ftype = known_file_types()[recipe.file_type]
    params.pure = recipe.pure
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
        params.imatrix = _imatrix(importance, keep)
    with Log() as log:
        if llama.llama_model_quantize(str(source).encode(), b"", ctypes.byref(params)) != 0:
            raise Refused(log.error or "llama.cpp gave no reason")
    return DryRun(tensor_types(log.text), "will require an imatrix" in log.text)


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


def library() -> Path:
    """The build's libggml-base, beside the library that the binding has loaded."""
    return Path(llama._base_path) / f"libggml-base{Path(llama._lib._name).suffix}"


def _imatrix(entries: Importance, keep: list[object]) -> Any:
    rows = []
    for name, values in entries.items():
        data = np.ascontiguousarray(values, np.float32)
        keep.append(data)
        rows.append((name.encode(), data.ctypes.data_as(ctypes.POINTER(ctypes.c_float)), data.size))
    return (llama.llama_model_imatrix_data * (len(rows) + 1))(*rows, (None, None, 0))


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
