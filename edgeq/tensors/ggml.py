"""ggml's own block encoders and decoders, through the libraries of the build. For the worker process only."""

from __future__ import annotations

import ctypes
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from edgeq.gguf_info import TYPE_NAMED
from edgeq.tensors.source import row_bytes

Floats = np.ndarray[Any, np.dtype[np.float32]]
Blocks = np.ndarray[Any, np.dtype[np.uint8]]
_FLOATS = np.ctypeslib.ndpointer(np.float32, flags="C_CONTIGUOUS")
_BYTES = np.ctypeslib.ndpointer(np.uint8, flags="C_CONTIGUOUS")


class _Traits(ctypes.Structure):
    # struct ggml_type_traits (ggml.h)
    _fields_ = (
        ("type_name", ctypes.c_char_p),
        ("blck_size", ctypes.c_int64),
        ("blck_size_interleave", ctypes.c_int64),
        ("type_size", ctypes.c_size_t),
        ("is_quantized", ctypes.c_bool),
        ("to_float", ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)),
        ("from_float_ref", ctypes.c_void_p),
    )


class Ggml:
    """The encoders of one build's libggml-base. Types by their names in upper case; arrays of whole rows."""

    def __init__(self, library: Path, n_threads: int) -> None:
        self._lib = ctypes.CDLL(str(library))
        # size_t ggml_quantize_chunk(type, const float * src, void * dst, start, nrows, n_per_row, imatrix)
        self._quantize = self._lib.ggml_quantize_chunk
        self._quantize.restype = ctypes.c_size_t
        self._quantize.argtypes = [
            *(ctypes.c_int, _FLOATS, _BYTES, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64),
            ctypes.c_void_p,
        ]
        self._lib.ggml_get_type_traits.restype = ctypes.POINTER(_Traits)
        self._lib.ggml_validate_row_data.restype = ctypes.c_bool
        self._lib.ggml_validate_row_data.argtypes = [ctypes.c_int, _BYTES, ctypes.c_size_t]
        self.library = library
        self.n_threads = n_threads
        # Of ctypes and numpy: both let other threads run while they compute.
        self.threads = ThreadPoolExecutor(n_threads)

    def encode(self, kind: str, values: Floats, importance: Floats | None = None) -> Blocks:
        """Rows as blocks of ``kind``, (rows, bytes): what llama-quantize writes. ``importance``: one per column."""
        step = -(-len(values) // self.n_threads)
        pieces = (values[start : start + step] for start in range(0, len(values), step))
        return np.concatenate(list(self.threads.map(lambda piece: self.encode_here(kind, piece, importance), pieces)))

    def encode_here(self, kind: str, values: Floats, importance: Floats | None = None) -> Blocks:
        """As `encode`, in the calling thread."""
        values = np.ascontiguousarray(values, np.float32)
        n_rows, n_columns = values.shape
        out = np.empty((n_rows, row_bytes(kind, n_columns)), np.uint8)
        if importance is not None:
            importance = np.ascontiguousarray(importance, np.float32)
            assert importance.shape == (n_columns,)
        pointer = importance.ctypes.data if importance is not None else None
        done = self._quantize(TYPE_NAMED[kind].id, values, out, 0, n_rows, n_columns, pointer)
        assert done == out.nbytes
        return out

    def decode(self, kind: str, blocks: Blocks, n_columns: int) -> Floats:
        """Values of blocks, (rows, n_columns), as llama.cpp computes with them."""
        blocks = np.ascontiguousarray(blocks)
        if kind == "F32":
            return blocks.view(np.float32)
        out = np.empty((len(blocks), n_columns), np.float32)
        self._traits(kind).to_float(blocks.ctypes.data, out.ctypes.data, out.size)
        return out

    def has_values(self, kind: str) -> bool:
        """Whether a tensor can be of this type: no integers, no blocks that only activations are held in."""
        return kind == "F32" or bool(self._traits(kind).to_float)

    def is_valid(self, kind: str, blocks: Blocks) -> bool:
        """Whether all numbers and scales are finite, as far as llama.cpp looks when it quantizes or loads a model."""
        blocks = np.ascontiguousarray(blocks)
        return bool(self._lib.ggml_validate_row_data(TYPE_NAMED[kind].id, blocks, blocks.nbytes))

    def _traits(self, kind: str) -> _Traits:
        return self._lib.ggml_get_type_traits(TYPE_NAMED[kind].id).contents  # type: ignore[no-any-return]
