"""Better blocks of the same type and as many bytes, by coordinate descent: the build's library edgeq-refine.

The loss of blocks that stand for W' instead of W is tr((W - W') H (W - W')ᵀ): what their errors do to the outputs, over
inputs x with the second moments H = E[x xᵀ]. ggml's encoders see only the diagonal of H. With few tokens H is noisy
outside of its diagonal, so what is refined is H_λ = (1 - λ) H + λ diag(H) + 0.002 mean(diag(H)) I.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgeq import store
from edgeq.gguf_info import TYPE_NAMED
from edgeq.tensors.refused import Refused
from edgeq.tensors.source import row_bytes

Floats = np.ndarray[Any, np.dtype[np.float32]]
Blocks = np.ndarray[Any, np.dtype[np.uint8]]

# Types whose blocks can be refined. The library knows the same (edgeq_refine_has_type).
REFINED_TYPES = (
    *("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "IQ4_NL"),
    *("Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_XS"),
)
# Columns of a block of second moments.
WINDOW = 256
DAMPING = 0.002
# More of them change the loss by less than 1 %.
ROUNDS = 2
_MESSAGE_BYTES = 512


class _Job(ctypes.Structure):
    # struct edgeq_refine_job (native/refine/refine.h)
    _fields_ = (
        ("type", ctypes.c_int32),
        ("moments_form", ctypes.c_int32),
        ("n_rows", ctypes.c_int64),
        ("n_columns", ctypes.c_int64),
        ("source", ctypes.c_void_p),
        ("blocks", ctypes.c_void_p),
        ("moments", ctypes.c_void_p),
        ("shrinkage", ctypes.c_float),
        ("damping", ctypes.c_float),
        ("n_rounds", ctypes.c_int32),
        ("n_threads", ctypes.c_int32),
        ("before", ctypes.c_double),
        ("after", ctypes.c_double),
        ("n_changed", ctypes.c_int64),
    )


@dataclass(frozen=True)
class Refined:
    """Blocks, (rows, bytes), and the losses of what they were and are, with H_λ; ``changed``: how many codes."""

    blocks: Blocks
    before: float
    after: float
    changed: int


class Refiner:
    """One build's libedgeq-refine. Results are the same, to the last bit, for any number of threads.

    Rows are independent: some of a matrix at a time give the same blocks as all of it, for less memory.
    ``rows`` are the weights, (rows, columns) in float32; ``blocks`` what stands for them, (rows, bytes). ``moments`` is
    symmetric, in float32: (columns, columns), or the blocks of its diagonal, (columns/256, 256, 256). It is read where
    it lies, also in a mapped file.
    """

    def __init__(self, library: Path, n_threads: int) -> None:
        lib = ctypes.CDLL(str(library))
        self._refine, self._loss = lib.edgeq_refine, lib.edgeq_refine_loss
        for function in (self._refine, self._loss):
            function.restype = ctypes.c_int32
            function.argtypes = [ctypes.POINTER(_Job), ctypes.c_char_p, ctypes.c_size_t]
        self.n_threads = n_threads
        self.sha256 = store.sha256_file(library)

    def refine(
        self, kind: str, rows: Floats, blocks: Blocks, moments: Floats, shrinkage: float, n_rounds: int = ROUNDS
    ) -> Refined:
        """Refine blocks of ``kind``, one of `REFINED_TYPES`; ``shrinkage`` is λ, 0 to 1.

        Raises Refused for weights, blocks or moments that are not finite numbers.
        """
        refined = np.array(blocks)
        job = _job(kind, rows, refined, moments)
        job.shrinkage, job.damping, job.n_rounds, job.n_threads = shrinkage, DAMPING, n_rounds, self.n_threads
        _call(self._refine, job)
        return Refined(refined, job.before, job.after, job.n_changed)

    def loss(self, kind: str, rows: Floats, blocks: Blocks, moments: Floats) -> float:
        """tr((W - W') H (W - W')ᵀ) with ``moments`` themselves, of blocks of any type. Raises Refused as `refine`."""
        job = _job(kind, rows, blocks, moments)
        job.n_threads = self.n_threads
        _call(self._loss, job)
        return float(job.after)


def _job(kind: str, rows: Floats, blocks: Blocks, moments: Floats) -> _Job:
    n_rows, n_columns = rows.shape
    assert rows.dtype == np.float32 and blocks.dtype == np.uint8 and moments.dtype == np.float32
    assert rows.flags.c_contiguous and blocks.flags.c_contiguous and moments.flags.c_contiguous
    assert blocks.shape == (n_rows, row_bytes(kind, n_columns))
    in_blocks = moments.ndim == 3
    assert moments.shape == ((n_columns // WINDOW, WINDOW, WINDOW) if in_blocks else (n_columns, n_columns))
    return _Job(
        type=TYPE_NAMED[kind].id,
        moments_form=int(in_blocks),
        n_rows=n_rows,
        n_columns=n_columns,
        source=rows.ctypes.data,
        blocks=blocks.ctypes.data,
        moments=moments.ctypes.data,
    )


def _call(function: Any, job: _Job) -> None:
    message = ctypes.create_string_buffer(_MESSAGE_BYTES)
    if function(ctypes.byref(job), message, _MESSAGE_BYTES):
        raise Refused(message.value.decode())
