"""What the worker can be asked to do, on llama.cpp's C API through the binding."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as llama
import msgspec
import numpy as np

from edgeq.worker.events import Events, Refused
from edgeq.worker.imatrix import read_imatrix
from edgeq.worker.log import Log, tensor_types

_FTYPE_PREFIXES = ("LLAMA_FTYPE_MOSTLY_", "LLAMA_FTYPE_ALL_")


class Job(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file to make. ``overrides``: (regular expression, ggml type) on tensor names, the first match wins."""

    name: str
    file_type: str
    out: str = ""
    pure: bool = False
    overrides: tuple[tuple[str, str], ...] = ()
    token_embedding_type: str | None = None
    output_tensor_type: str | None = None
    metadata: dict[str, str | int] = {}
    imatrix: str | None = None


def run(request: dict[str, object], events: Events) -> None:
    """Dispatch one request to its operation."""
    operation: Callable[[dict[str, Any], Events], None] = {
        "file_types": _file_types,
        "plan": _plan,
        "quantize": _quantize,
        "tokenize": _tokenize,
    }[str(request["op"])]
    operation(request, events)


def _file_types(request: dict[str, Any], events: Events) -> None:
    events.send("file_types", file_types=_known_file_types())


def _known_file_types() -> dict[str, int]:
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


def _plan(request: dict[str, Any], events: Events) -> None:
    for job in msgspec.convert(request["jobs"], list[Job]):
        with Log() as log:
            _call(request["source"], job, log, n_threads=1, dry_run=True, requantize=True)
        needs = "will require an imatrix" in log.text
        events.send("plan", name=job.name, types=tensor_types(log.text), needs_imatrix=needs)


def _quantize(request: dict[str, Any], events: Events) -> None:
    for job in msgspec.convert(request["jobs"], list[Job]):

        def progress(done: int, total: int, name: str = job.name) -> None:
            events.send("progress", name=name, done=done, total=total)

        with Log(progress) as log:
            _call(request["source"], job, log, n_threads=request["n_threads"], requantize=request["requantize"])
        events.send("made", name=job.name, out=job.out)


def _call(source: str, job: Job, log: Log, *, n_threads: int, requantize: bool, dry_run: bool = False) -> None:
    params = llama.llama_model_quantize_default_params()
    params.nthread = n_threads
    params.ftype = _known_file_types()[job.file_type]
    params.allow_requantize = requantize
    params.pure = job.pure
    params.dry_run = dry_run
    types = _ggml_types()
    if job.token_embedding_type:
        params.token_embedding_type = _type(types, job.token_embedding_type)
    if job.output_tensor_type:
        params.output_tensor_type = _type(types, job.output_tensor_type)
    if job.overrides:
        rows = [(pattern.encode(), _type(types, name)) for pattern, name in job.overrides]
        params.tt_overrides = (llama.llama_model_tensor_override * (len(rows) + 1))(*rows, (None, len(types)))
    keep: list[object] = []
    if job.imatrix:
        # A type that ignores the matrix (Q8_0) is still given it, as llama-quantize does.
        params.imatrix = _imatrix(read_imatrix(Path(job.imatrix)), keep)
    if job.metadata:
        params.kv_overrides = _metadata(job.metadata)
    if llama.llama_model_quantize(source.encode(), job.out.encode(), ctypes.byref(params)) != 0:
        text = log.error or "llama.cpp gave no reason"
        code = "output" if "iostream" in text or "ios_base" in text else "input"
        raise Refused(f"{job.name}: {'the file could not be written' if code == 'output' else text}", code)


def _imatrix(entries: dict[str, np.ndarray], keep: list[object]) -> Any:
    rows = []
    for name, values in entries.items():
        data = values.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        keep.append(values)
        rows.append((name.encode(), data, values.size))
    return (llama.llama_model_imatrix_data * (len(rows) + 1))(*rows, (None, None, 0))


def _metadata(values: dict[str, str | int]) -> Any:
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
    base = ctypes.CDLL(str(Path(llama._base_path) / f"libggml-base{Path(llama._lib._name).suffix}"))
    base.ggml_type_name.restype = ctypes.c_char_p
    names = (base.ggml_type_name(i) for i in range(llama.GGML_TYPE_COUNT))
    return {name.decode().lower(): i for i, name in enumerate(names) if name}


def _type(types: dict[str, int], name: str) -> int:
    try:
        return types[name.lower()]
    except KeyError:
        raise Refused(f"{name} is not a tensor type; valid are {', '.join(sorted(types)).upper()}") from None


def _tokenize(request: dict[str, Any], events: Events) -> None:
    params = llama.llama_model_default_params()
    params.vocab_only = True
    with Log() as log:
        model = llama.llama_model_load_from_file(request["source"].encode(), params)
    if not model:
        raise Refused(f"the vocabulary can't be loaded: {log.error or 'llama.cpp gave no reason'}")
    vocab = llama.llama_model_get_vocab(model)
    text = b"".join(Path(p).read_bytes() for p in request["texts"])
    room = len(text) + 16  # a token is at least one byte; some room for BOS and EOS
    tokens = (llama.llama_token * room)()
    n = llama.llama_tokenize(vocab, text, len(text), tokens, room, True, False)
    if n < 0:
        raise Refused("the text can't be tokenized: llama.cpp asks for more tokens than the text has bytes")
    np.frombuffer(tokens, np.int32, n).tofile(request["out"])
    events.send("tokens", n_tokens=n)
    llama.llama_model_free(model)
