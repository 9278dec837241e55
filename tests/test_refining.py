"""Coordinate descent on blocks: never worse by its own measure, in as many bytes, the same with any threads."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeq.gguf_info import TYPE_NAMED, TYPES
from edgeq.records import Build
from edgeq.tensors.ggml import Ggml
from edgeq.tensors.refining import DAMPING, REFINED_TYPES, WINDOW, Blocks, Floats, Refiner
from edgeq.tensors.refused import Refused
from edgeq.tensors.source import row_bytes

# Where a block's scale, and its other number in half precision, lie (ggml-common.h).
HALVES = {
    **{"Q4_0": (0,), "Q4_1": (0, 2), "Q5_0": (0,), "Q5_1": (0, 2), "Q8_0": (0,), "IQ4_NL": (0,)},
    **{"Q2_K": (80, 82), "Q3_K": (108,), "Q4_K": (0, 2), "Q5_K": (0, 2), "Q6_K": (208,), "IQ4_XS": (0,)},
}
# Types whose codes fill bytes of their own: where, and what repeats a code in a byte.
CODES = {"Q4_0": (2, 18, 0x11), "IQ4_NL": (2, 18, 0x11), "Q4_K": (16, 144, 0x11), "Q2_K": (16, 80, 0x55)}


@pytest.fixture(scope="module")
def refiner(built: Build) -> Refiner:
    return Refiner(Path(built.tool("refine")), 2)


@pytest.fixture(scope="module")
def ggml(built: Build) -> Ggml:
    return Ggml(Path(built.folder) / "bin" / "libggml-base.so", 1)


def weights(n_rows: int, n_columns: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).standard_normal((n_rows, n_columns), np.float32) / 50


def correlated(n_columns: int, seed: int = 0) -> Floats:
    """Second moments as of a model's activations: few directions, a mean, one channel that is far larger."""
    random = np.random.default_rng(seed)
    x = random.standard_normal((2 * n_columns, n_columns // 4)) @ random.standard_normal((n_columns // 4, n_columns))
    x = (x / np.sqrt(n_columns // 4) + random.standard_normal(x.shape) / 2 + 0.3) * np.exp(
        random.standard_normal(n_columns) / 2
    )
    x[:, 3] *= 30
    return (x.T @ x / len(x)).astype(np.float32)


def diagonal_blocks(moments: Floats) -> Floats:
    starts = range(0, len(moments), WINDOW)
    return np.stack([moments[i : i + WINDOW, i : i + WINDOW] for i in starts])


def outside_zero(moments: Floats) -> Floats:
    """The same matrix without what lies outside of its blocks."""
    block = np.arange(len(moments)) // WINDOW
    return np.where(block[:, None] == block[None], moments, np.float32(0))


def encoded(ggml: Ggml, kind: str, rows: Floats, moments: Floats) -> Blocks:
    return ggml.encode(kind, rows, np.diagonal(moments).copy())


def losses(rows: Floats, values: Floats, moments: Floats, shrinkage: float, damping: float = DAMPING) -> Any:
    """The loss of each row, from its definition."""
    h = moments.astype(np.float64)
    squares = np.diagonal(h)
    live = squares > 0
    regularized = (1 - shrinkage) * h + np.diag(shrinkage * squares + live * damping * squares[live].mean())
    errors = rows.astype(np.float64) - values
    return np.einsum("ri,ri->r", errors @ regularized, errors)


def random_blocks(kind: str, n_rows: int, n_columns: int, seed: int) -> Blocks:
    """Any bytes, with halves of all kinds but infinities and NaN: negative, subnormal, zero, and whole blocks of 0."""
    random = np.random.default_rng(seed)
    size = TYPE_NAMED[kind].block_bytes
    blocks = random.integers(0, 256, (n_rows * row_bytes(kind, n_columns) // size, size), np.uint8)
    for offset in HALVES[kind]:
        halves = random.integers(0, 1 << 16, len(blocks), np.uint16) & 0xA3FF  # below 0.016: as scales of weights are
        halves[::5] &= 0x83FF  # subnormal
        halves[::7] &= 0x8000  # 0 and -0
        blocks[:, offset : offset + 2] = halves[:, None].view(np.uint8)
    blocks[::11] = 0
    return blocks.reshape(n_rows, -1)


def codes(kind: str, blocks: Blocks) -> Blocks:
    """The bytes of the codes, (blocks, bytes), a view."""
    first, last, _ = CODES[kind]
    return blocks.reshape(-1, TYPE_NAMED[kind].block_bytes)[:, first:last]


def choices(ggml: Ggml, kind: str, blocks: Blocks, n_columns: int) -> Floats:
    """What each weight would be with each code on the scales as they are: (codes, rows, columns)."""
    repeat = CODES[kind][2]
    decoded = []
    for code in range(0xFF // repeat + 1):
        filled = blocks.copy()
        codes(kind, filled)[:] = code * repeat
        decoded.append(ggml.decode(kind, filled, n_columns))
    return np.stack(decoded)


def test_the_library_refines_the_types_that_are_named(built: Build) -> None:
    library = ctypes.CDLL(built.tool("refine"))
    assert {t.name for t in TYPES.values() if library.edgeq_refine_has_type(t.id)} == set(REFINED_TYPES)
    assert HALVES.keys() == set(REFINED_TYPES)


@pytest.mark.parametrize("kind", REFINED_TYPES)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1 << 32))
def test_blocks_are_read_as_ggml_reads_them_and_written_as_they_were(
    kind: str, seed: int, refiner: Refiner, ggml: Ggml
) -> None:
    rows, blocks, moments = weights(3, 512), random_blocks(kind, 3, 512, seed), correlated(512)
    same = refiner.refine(kind, rows, blocks, moments, 0.3, n_rounds=0)
    assert (same.blocks == blocks).all() and same.changed == 0
    expected = losses(rows, ggml.decode(kind, blocks, 512), moments, 0.3).sum()
    assert same.before == same.after == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("start", ["encoder", "random"])
@pytest.mark.parametrize("kind", REFINED_TYPES)
def test_no_row_gets_worse(kind: str, start: str, refiner: Refiner, ggml: Ggml) -> None:
    rows, full = weights(40, 512), correlated(512)
    blocks = encoded(ggml, kind, rows, full) if start == "encoder" else random_blocks(kind, 40, 512, 1)
    for moments, whole in ((full, full), (diagonal_blocks(full), outside_zero(full))):
        for shrinkage in (0.0, 0.3, 1.0):
            refined = refiner.refine(kind, rows, blocks, moments, shrinkage)
            before = losses(rows, ggml.decode(kind, blocks, 512), whole, shrinkage)
            after = losses(rows, ggml.decode(kind, refined.blocks, 512), whole, shrinkage)
            assert (after <= before * (1 + 1e-5)).all()
            assert refined.before == pytest.approx(before.sum(), rel=1e-5)
            # The gradient is kept in single precision while the loss of random blocks falls a thousandfold.
            assert refined.after == pytest.approx(after.sum(), rel=1e-5, abs=1e-7 * before.sum())
            if shrinkage == 0.3:
                assert after.sum() < 0.9 * before.sum()


@pytest.mark.parametrize("kind", REFINED_TYPES)
def test_what_is_exact_already_stays(kind: str, refiner: Refiner, ggml: Ggml) -> None:
    blocks = random_blocks(kind, 20, 512, 3)  # of Q8_0 with -128, which no encoder writes
    rows = ggml.decode(kind, blocks, 512)
    refined = refiner.refine(kind, rows, blocks, correlated(512), 0.3)
    assert (refined.blocks == blocks).all() and refined.after == 0


@pytest.mark.parametrize("kind", CODES)
def test_no_single_code_could_be_better(kind: str, refiner: Refiner, ggml: Ggml) -> None:
    rows, moments = weights(5, 256), correlated(256)
    refined = refiner.refine(kind, rows, encoded(ggml, kind, rows, moments), moments, 0.1, n_rounds=200)
    values = ggml.decode(kind, refined.blocks, 256)
    least = losses(rows, values, moments, 0.1)
    for column in range(256):
        for choice in choices(ggml, kind, refined.blocks, 256):
            changed = values.copy()
            changed[:, column] = choice[:, column]
            assert (losses(rows, changed, moments, 0.1) >= least * (1 - 1e-6)).all()


@pytest.mark.parametrize("kind", CODES)
def test_of_independent_inputs_each_weight_is_rounded_to_the_nearest(kind: str, refiner: Refiner, ggml: Ggml) -> None:
    rows, moments = weights(20, 256), np.diag(np.diagonal(correlated(256))).copy()
    refined = refiner.refine(kind, rows, random_blocks(kind, 20, 256, 2), moments, 0.0)
    nearest = np.abs(choices(ggml, kind, refined.blocks, 256) - rows).min(axis=0)
    np.testing.assert_allclose(np.abs(ggml.decode(kind, refined.blocks, 256) - rows), nearest, atol=1e-7)


@pytest.mark.parametrize("kind", ["Q4_0", "Q4_K"])
def test_neither_threads_nor_other_rows_change_a_bit(kind: str, built: Build, refiner: Refiner, ggml: Ggml) -> None:
    rows, moments = weights(101, 512), correlated(512)
    blocks = encoded(ggml, kind, rows, moments)
    refined = refiner.refine(kind, rows, blocks, moments, 0.3)
    for n_threads in (1, 3):
        other = Refiner(Path(built.tool("refine")), n_threads).refine(kind, rows, blocks, moments, 0.3)
        assert (other.blocks == refined.blocks).all()
        assert (other.before, other.after, other.changed) == (refined.before, refined.after, refined.changed)
    differ = (codes(kind, refined.blocks) ^ codes(kind, blocks)).ravel()
    assert refined.changed == np.count_nonzero(differ & 0x0F) + np.count_nonzero(differ & 0xF0)
    some = slice(5, 29)
    assert (refiner.refine(kind, rows[some], blocks[some], moments, 0.3).blocks == refined.blocks[some]).all()


@pytest.mark.parametrize("kind", ["Q5_0", "Q3_K"])
def test_blocks_of_moments_are_moments_with_zeros_outside(kind: str, refiner: Refiner, ggml: Ggml) -> None:
    rows, whole = weights(20, 768), correlated(768)
    blocks = encoded(ggml, kind, rows, whole)
    of_blocks = refiner.refine(kind, rows, blocks, diagonal_blocks(whole), 0.3)
    of_zeros = refiner.refine(kind, rows, blocks, outside_zero(whole), 0.3)
    assert (of_blocks.blocks == of_zeros.blocks).all()
    assert (of_blocks.after, of_blocks.changed) == (of_zeros.after, of_zeros.changed)


def test_scales_that_halves_cannot_hold_are_not_taken(refiner: Refiner, ggml: Ggml) -> None:
    rows, blocks = weights(4, 512) * np.float32(1e9), random_blocks("Q4_K", 4, 512, 4)
    refined = refiner.refine("Q4_K", rows, blocks, correlated(512), 0.3)
    assert np.isfinite(ggml.decode("Q4_K", refined.blocks, 512)).all() and refined.after < refined.before


def test_widths_that_end_within_a_window(refiner: Refiner, ggml: Ggml) -> None:
    rows, moments = weights(20, 288), correlated(288)
    blocks = encoded(ggml, "Q4_1", rows, moments)
    refined = refiner.refine("Q4_1", rows, blocks, moments, 0.3)
    values = ggml.decode("Q4_1", refined.blocks, 288)
    assert refined.after == pytest.approx(losses(rows, values, moments, 0.3).sum(), rel=1e-5)
    assert refined.after < 0.9 * refined.before


def test_columns_that_are_never_used_keep_their_codes(refiner: Refiner, ggml: Ggml) -> None:
    rows, moments = weights(20, 512), correlated(512)
    rows[:, 300:] = 0
    moments[300:] = moments[:, 300:] = 0
    blocks = encoded(ggml, "Q4_0", rows, moments)
    refined = refiner.refine("Q4_0", rows, blocks, moments, 0.3)
    assert (refined.blocks[:, 320 // 32 * 18 :] == blocks[:, 320 // 32 * 18 :]).all()
    # Half precision of the block in which they begin moves, its codes 300 to 319 do not.
    changed = (refined.blocks ^ blocks).reshape(20, -1, 18)[:, 288 // 32, 2:]
    assert not (changed[:, 300 - 288 : 16] & 0x0F).any() and not (changed & 0xF0).any()
    live = np.ix_(range(300), range(300))
    values = ggml.decode("Q4_0", refined.blocks, 512)
    assert refined.after == pytest.approx(losses(rows[:, :300], values[:, :300], moments[live], 0.3).sum(), rel=1e-5)


@pytest.mark.parametrize("kind", ["F32", "F16", "BF16", "Q4_K", "IQ3_S"])
def test_the_loss_of_any_type(kind: str, refiner: Refiner, ggml: Ggml) -> None:
    moments = correlated(512)
    rows = weights(20, 512)
    blocks = encoded(ggml, kind, rows, moments) if kind != "F32" else weights(20, 512, 1).view(np.uint8)
    values = ggml.decode(kind, blocks, 512)
    for given_form, whole in ((moments, moments), (diagonal_blocks(moments), outside_zero(moments))):
        expected = losses(rows, values, whole, 0, damping=0).sum()
        assert refiner.loss(kind, rows, blocks, given_form) == pytest.approx(expected, rel=1e-5)


def spoiled(array: Any, value: float) -> Any:
    array = array.copy()
    array[-1, -1] = value
    return array


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda k, r, b, m: (k, spoiled(r, np.nan), b, m, 0.3), "the weights are not finite"),
        (lambda k, r, b, m: (k, r, b, spoiled(m, np.inf), 0.3), "second moments are not finite"),
        (lambda k, r, b, m: (k, r, b, spoiled(m, -1), 0.3), "negative diagonal"),
        (lambda k, r, b, m: (k, r, np.full_like(b, 0x7C), m, 0.3), "quantized weights are not finite"),
        (lambda k, r, b, m: (k, r, b, m, 1.5), "between 0 and 1"),
        (lambda k, r, b, m: (k, r, b, m, np.nan), "between 0 and 1"),
        (lambda k, r, b, m: (k, r, b, m[None, :256, :256], 0.3), "no whole windows of 256"),
        (lambda k, r, b, m: ("F16", r, r.astype(np.float16).view(np.uint8), m, 0.3), "type f16 can't be refined"),
    ],
)
def test_what_cannot_be_refined_is_refused(
    spoil: Callable[..., tuple[Any, ...]], message: str, refiner: Refiner, ggml: Ggml
) -> None:
    rows, moments = weights(20, 288), correlated(288)
    blocks = encoded(ggml, "Q4_0", rows, moments)
    with pytest.raises(Refused, match=message):
        refiner.refine(
            *(np.ascontiguousarray(a) if isinstance(a, np.ndarray) else a for a in spoil("Q4_0", rows, blocks, moments))
        )


def test_arrays_of_other_types_never_reach_the_library(refiner: Refiner, ggml: Ggml) -> None:
    rows, moments = weights(4, 64), correlated(64)
    blocks = encoded(ggml, "Q4_0", rows, moments)
    wrong: list[tuple[Any, Any, Any]] = [
        (rows.astype(np.float64), blocks, moments),
        (rows, blocks, moments.astype(np.float64)),
        (rows, blocks.view(np.int8), moments),
        (rows, blocks[:-1], moments),
        (rows, blocks, moments[:32, :32].copy()),
        (rows, blocks, np.asfortranarray(moments)),
        (rows[:, ::-1], blocks, moments),
    ]
    for arrays in wrong:
        with pytest.raises(AssertionError):
            refiner.refine("Q4_0", *arrays, 0.3)
