"""Coarser scales in ggml's simple formats: one for a matrix, a row, or a group, in each block of 32 that it covers.

llama.cpp computes with the blocks of such a tensor as with any, so the coarser quantization is exact and runs on the
real kernels; only the file is as large as with a scale of its own in each block. Layouts: ggml-common.h.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeq.tensors.refused import Refused
from edgeq.tensors.source import Tensor, row_bytes

Floats = np.ndarray[Any, np.dtype[np.float32]]
Halves = np.ndarray[Any, np.dtype[np.float16]]
Blocks = np.ndarray[Any, np.dtype[np.uint8]]

BLOCK = 32
# Values that are encoded at a time: they and what is computed from them stay in the cache.
_STEP_VALUES = 1 << 18


@dataclass(frozen=True)
class Container:
    """A format: the codes ``low`` to ``high`` stand for scale·code, or for scale·code + minimum where it has one.

    ``spread``: what the largest value is divided by to give the scale. A negative one gives it the code ``low``, of
    which there is one more than of positive codes (quantize_row_q4_0_ref in ggml-quants.c).
    """

    bits: int
    low: int
    high: int
    spread: int
    has_minimum: bool = False

    @property
    def scale_bits(self) -> int:
        """Bits that are stored once for a group."""
        return 32 if self.has_minimum else 16


CONTAINERS = {
    "Q8_0": Container(8, -127, 127, 127),
    "Q5_0": Container(5, -16, 15, -16),
    "Q4_0": Container(4, -8, 7, -8),
    "Q5_1": Container(5, 0, 31, 31, has_minimum=True),
    "Q4_1": Container(4, 0, 15, 15, has_minimum=True),
}


def encoded(tensor: Tensor, kind: str, group: int | None) -> Iterator[tuple[int, Blocks]]:
    """(first row, blocks of it and those that follow) of a tensor, as ``kind``, one of `CONTAINERS`.

    ``group``: weights of a row that share a scale, in whole blocks; None: one scale for a matrix, of experts for each.
    Raises Refused for weights that are no numbers or too large for a scale in half precision.
    """
    per_matrix = tensor.n_rows // tensor.n_matrices
    firsts = range(0, 0 if group else tensor.n_rows, per_matrix)
    whole = [_of_matrix(tensor, kind, first, first + per_matrix) for first in firsts]
    for start, stop in tensor.steps(_STEP_VALUES):
        values = tensor.rows(start, stop)
        scale, minimum = _of_groups(tensor, kind, values, group) if group else whole[start // per_matrix]
        yield start, encode(kind, values, scale, minimum)


def encode(kind: str, values: Floats, scale: Halves, minimum: Halves) -> Blocks:
    """Rows as blocks of ``kind``, (rows, bytes), each value with the nearest code.

    ``scale`` and ``minimum``: (rows, groups of a row), or (1, 1) for all; the minimum is used where the format has one.
    """
    form = CONTAINERS[kind]
    n_rows, n_columns = values.shape
    n_groups = scale.shape[1]
    grouped = values.reshape(n_rows, n_groups, -1)
    step = scale.astype(np.float32)[:, :, None]
    inverse = np.divide(1, step, out=np.zeros_like(step), where=step != 0)
    if form.has_minimum:
        codes = grouped - minimum.astype(np.float32)[:, :, None]
        codes *= inverse
    else:
        codes = grouped * inverse
    np.rint(codes, out=codes)
    np.clip(codes, form.low, form.high, out=codes)
    blocks = np.empty((n_rows, n_groups, n_columns // n_groups // BLOCK, row_bytes(kind, BLOCK)), np.uint8)
    heads = [scale, minimum] if form.has_minimum else [scale]
    for i, head in enumerate(heads):
        blocks[..., 2 * i : 2 * i + 2] = np.ascontiguousarray(head, "<f2").view(np.uint8).reshape(*head.shape, 1, 2)
    _pack(form, codes.astype(np.int8).reshape(*blocks.shape[:3], BLOCK), blocks[..., 2 * len(heads) :])
    return blocks.reshape(n_rows, -1)


def scales(kind: str, low: Floats, high: Floats) -> tuple[Halves, Halves]:
    """Scale and minimum of groups whose values lie between ``low`` and ``high``, rounded as they are stored."""
    form = CONTAINERS[kind]
    with np.errstate(over="ignore", invalid="ignore"):
        if form.has_minimum:
            return ((high - low) / np.float32(form.spread)).astype(np.float16), low.astype(np.float16)
        extreme = np.where(-low > high, low, high)
        largest = np.abs(extreme) if form.spread > 0 else extreme
        return (largest / np.float32(form.spread)).astype(np.float16), np.zeros(low.shape, np.float16)


def ideal_bits(kind: str, tensor: Tensor, group: int | None) -> int:
    """Bits of a tensor's codes, and of its scales if each were stored once."""
    n_values = tensor.info.n_elements
    n_scales = tensor.n_matrices if group is None else n_values // group
    return CONTAINERS[kind].bits * n_values + CONTAINERS[kind].scale_bits * n_scales


def _of_groups(tensor: Tensor, kind: str, values: Floats, group: int) -> tuple[Halves, Halves]:
    """Scale and minimum of each group of some rows, (rows, groups)."""
    grouped = values.reshape(len(values), -1, group)
    return _checked(tensor, kind, grouped.min(axis=2), grouped.max(axis=2))


def _of_matrix(tensor: Tensor, kind: str, start: int, stop: int) -> tuple[Halves, Halves]:
    """Scale and minimum of all these rows, (1, 1)."""
    step = max(1, _STEP_VALUES // tensor.row_length)
    pieces = (tensor.rows(first, min(first + step, stop)) for first in range(start, stop, step))
    extremes = np.array([(piece.min(), piece.max()) for piece in pieces], np.float32)
    return _checked(
        tensor, kind, extremes[:, :1].min(axis=0, keepdims=True), extremes[:, 1:].max(axis=0, keepdims=True)
    )


def _checked(tensor: Tensor, kind: str, low: Floats, high: Floats) -> tuple[Halves, Halves]:
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise Refused(f"{tensor.name} has weights that are not finite numbers")
    scale, minimum = scales(kind, low, high)
    if not (np.isfinite(scale).all() and np.isfinite(minimum).all()):
        raise Refused(f"{tensor.name} has weights too large for {kind}, whose scales are in half precision")
    return scale, minimum


def _pack(form: Container, codes: np.ndarray[Any, np.dtype[np.int8]], out: Blocks) -> None:
    """Put the codes of blocks behind their heads."""
    if form.bits == 8:
        out[...] = codes.view(np.uint8)
        return
    unsigned = (codes - np.int8(form.low)).view(np.uint8)
    if form.bits == 5:
        out[..., :4] = np.packbits(unsigned >> 4, axis=-1, bitorder="little")
        unsigned &= 15
    out[..., -16:] = unsigned[..., :16] | unsigned[..., 16:] << 4
