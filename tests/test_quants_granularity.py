"""Scales for matrices, rows and groups, and weights without their blocks: proved on the bytes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from gguf import quants
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edgeq import quantize
from edgeq.errors import InputError
from edgeq.gguf_info import TYPE_NAMED, TensorInfo
from edgeq.quants import asymmetric, group_wise, per_channel, per_tensor, symmetric, weight_only
from edgeq.records import Build, Gguf, Recipe
from edgeq.tensors import containers
from edgeq.tensors.containers import CONTAINERS
from edgeq.tensors.ggml import Ggml
from edgeq.tensors.refused import Refused
from edgeq.tensors.source import Source, Tensor, is_embedding

Floats = np.ndarray[Any, np.dtype[np.float32]]
Blocks = np.ndarray[Any, np.dtype[np.uint8]]

# Each format's codes as numbers, from its description in ggml-common.h.
CODES = {
    "Q8_0": range(-127, 128),
    "Q5_0": range(-16, 16),
    "Q4_0": range(-8, 8),
    "Q5_1": range(32),
    "Q4_1": range(16),
}
ASYMMETRIC = ("Q4_1", "Q5_1")


@pytest.fixture(scope="module")
def ggml(built: Build) -> Ggml:
    return Ggml(Path(built.folder) / "bin" / "libggml-base.so", 1)


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("raw") / "tensor"


def tensor_of(path: Path, values: Floats) -> Tensor:
    """A tensor of float32 values in a file without a header."""
    path.write_bytes(values.tobytes())
    return Tensor(TensorInfo("w", values.shape[::-1], "F32", values.size, values.nbytes, 0), path)


def encoded(tensor: Tensor, kind: str, group: int | None) -> Blocks:
    """All rows, (rows, blocks of a row, bytes of a block)."""
    pieces = dict(containers.encoded(tensor, kind, group))
    starts = np.cumsum([0, *(len(piece) for piece in pieces.values())])
    assert list(pieces) == list(starts[:-1]) and starts[-1] == tensor.n_rows
    return np.concatenate(list(pieces.values())).reshape(tensor.n_rows, -1, TYPE_NAMED[kind].block_bytes)


def heads(kind: str, blocks: Blocks) -> Floats:
    """Scale and, where there is one, minimum of each block."""
    return blocks[..., : 4 if kind in ASYMMETRIC else 2].copy().view("<f2").astype(np.float32)


def decoded(kind: str, blocks: Blocks) -> Floats:
    """(rows, values), by the gguf package."""
    values = quants.dequantize(blocks.reshape(len(blocks), -1), gguf.GGMLQuantizationType[kind])
    return np.asarray(values, np.float32).reshape(len(blocks), -1)


def assert_as_defined(kind: str, values: Floats, blocks: Blocks) -> None:
    """Each row of ``values`` is a group: its blocks have the one scale of the definition, and the nearest codes."""
    stored = heads(kind, blocks)
    assert (stored == stored[:, :1]).all()
    low, high = values.min(axis=1), values.max(axis=1)
    scale, lowest, highest = stored[:, 0, 0], CODES[kind][0], CODES[kind][-1]
    minimum = np.zeros_like(scale)
    if kind in ASYMMETRIC:
        minimum = stored[:, 0, 1]
        assert (minimum == low.astype(np.float16)).all()
        assert (scale == ((high - low) / np.float32(highest)).astype(np.float16)).all()
    else:
        divisor = np.float32(highest if kind == "Q8_0" else -lowest)
        assert (np.abs(scale) == (np.maximum(-low, high) / divisor).astype(np.float16)).all()
        # The value of largest magnitude gets the code of largest magnitude, which is the negative one.
        assert kind == "Q8_0" or ((scale > 0) == (-low > high))[scale != 0].all()
    scale, minimum = scale.astype(np.float64)[:, None], minimum.astype(np.float64)[:, None]
    steps = np.divide(values - minimum, scale, out=np.zeros(values.shape), where=scale != 0)
    nearest = scale * np.clip(np.rint(steps), lowest, highest) + minimum
    # Halfway between two codes either is nearest, as far as single precision can tell.
    slack = (np.abs(scale) * max(-lowest, highest) + np.abs(minimum)) * 2.0**-22
    found = decoded(kind, blocks)
    assert (np.abs(values - found.astype(np.float64)) <= np.abs(values - nearest) + slack).all()


@settings(deadline=None, max_examples=150)
@given(
    values=arrays.arrays(np.float32, (2, 64), elements=st.floats(-60000, 60000, width=32)),
    unit=st.sampled_from([1.0, 1e-3, 1e-7]),
    kind=st.sampled_from(sorted(CONTAINERS)),
)
@example(np.zeros((2, 64), np.float32), 1.0, "Q4_0")
@example(np.full((2, 64), 3, np.float32), 1.0, "Q5_1")
@example(np.tile(np.float32([-1, 1]), 64).reshape(2, 64), 1.0, "Q5_0")
@example(np.full((2, 64), 2e-8, np.float32), 1.0, "Q8_0")
def test_any_values_have_the_scale_of_the_definition_and_the_nearest_codes(
    raw: Path, values: Floats, unit: float, kind: str
) -> None:
    values = values * np.float32(unit)
    tensor = tensor_of(raw, values)
    for group in (None, 64, 32):
        size = group or values.size
        blocks = encoded(tensor, kind, group)
        assert_as_defined(kind, values.reshape(-1, size), blocks.reshape(-1, size // 32, blocks.shape[-1]))


@pytest.mark.parametrize("kind", sorted(CONTAINERS))
@pytest.mark.parametrize("group", [None, 32])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 3e38, -3e38])
def test_what_has_no_scale_is_refused(raw: Path, kind: str, group: int | None, bad: float) -> None:
    values = np.ones((4, 64), np.float32)
    values[2, 40] = bad
    reason = "too large" if np.isfinite(bad) else "not finite"
    with pytest.raises(Refused, match=f"w has weights .*{reason}"):
        encoded(tensor_of(raw, values), kind, group)


def test_each_expert_has_a_scale_of_its_own_however_it_is_read(raw: Path) -> None:
    values = np.random.default_rng(1).standard_normal((3, 600, 512), np.float32)
    assert values[0].size > containers._STEP_VALUES
    values[:, -1, -1] = 10, 20, 40  # in the last piece of each matrix
    tensor = tensor_of(raw, values)
    blocks = encoded(tensor, "Q4_0", None).reshape(3, 600 * 16, 18)
    assert_as_defined("Q4_0", values.reshape(3, -1), blocks)
    assert heads("Q4_0", blocks[:, 0]).ravel().tolist() == [-1.25, -2.5, -5]
    assert containers.ideal_bits("Q4_0", tensor, None) == 4 * values.size + 3 * 16
    assert containers.ideal_bits("Q4_1", tensor, 128) == 4 * values.size + 32 * values.size // 128


@pytest.mark.parametrize("kind", sorted(CONTAINERS))
def test_groups_of_one_block_are_ggmls_blocks_with_codes_at_least_as_near(
    kind: str, raw: Path, ggml: Ggml, model: Gguf
) -> None:
    # Times a number, so that scales are rounded when they are stored.
    values = Source(Path(model.path)).tensors["blk.1.ffn_down.weight"].rows() * np.float32(1.1)
    ours = encoded(tensor_of(raw, values), kind, 32)
    theirs = ggml.encode(kind, values).reshape(ours.shape)
    assert np.mean(ours == theirs) >= 0.99
    same_scale = (heads(kind, ours) == heads(kind, theirs)).all(axis=-1)
    assert np.mean(same_scale) > 0.99
    error, their_error = (
        np.abs(decoded(kind, blocks).astype(np.float64) - values).reshape(*same_scale.shape, 32)[same_scale]
        for blocks in (ours, theirs)
    )
    scale = np.abs(heads(kind, ours)[same_scale][:, :1])
    assert (error <= their_error + scale * CODES[kind][-1] * 2.0**-22).all()
    assert error.sum() < their_error.sum()


@pytest.mark.parametrize("kind", [*symmetric.TYPES, *asymmetric.TYPES])
def test_only_asymmetric_blocks_have_a_minimum(kind: str, ggml: Ggml, model: Gguf) -> None:
    tensor = Source(Path(model.path)).tensors["blk.0.ffn_up.weight"]
    blocks = ggml.encode(kind, tensor.rows(0, 8)).reshape(-1, TYPE_NAMED[kind].block_bytes)
    scale_at = {"Q3_K": 108, "Q6_K": 208, "Q2_K": 80}.get(kind, 0)
    blocks[:, scale_at : scale_at + 2] = 0
    left = ggml.decode(kind, blocks.reshape(8, -1), tensor.row_length)
    assert np.any(left) == (kind in asymmetric.TYPES)


@pytest.fixture(scope="module")
def made(built: Build, model: Gguf, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Gguf]:
    """The files of all arms that differ in their groups, and llama.cpp's own."""
    recipes = [arm.recipe for shelf in (per_tensor, per_channel, group_wise) for arm in shelf.ARMS if arm.recipe]
    recipes.append(symmetric.RECIPES["Q8_0"])
    files = quantize.quantize(model, recipes, None, built, tmp_path_factory.mktemp("groups"), n_threads=1)
    return {recipe.name: file for recipe, file in zip(recipes, files, strict=True)}


# Name of the arm, and how many weights of a matrix of these dimensions share a scale.
COARSE: list[tuple[str, Callable[[int, int], int]]] = [
    *((arm.name, lambda row, rows: row * rows) for arm in per_tensor.ARMS),
    *((arm.name, lambda row, rows: row) for arm in per_channel.ARMS),
    ("Q4_0-g256", lambda row, rows: 256),
    ("Q4_0-g128", lambda row, rows: 128),
    ("Q4_0-g64", lambda row, rows: 64),
    ("Q4_1-g64", lambda row, rows: 64),
]


@pytest.mark.parametrize(("name", "size_of"), COARSE, ids=[name for name, _ in COARSE])
def test_files_have_the_scales_of_the_definition_and_nothing_else_of_their_own(
    name: str, size_of: Callable[[int, int], int], made: dict[str, Gguf], model: Gguf
) -> None:
    kind = name.partition("-")[0]
    source, file, stock = (Source(Path(m.path)) for m in (model, made[name], made[kind]))
    n_bits = n_weights = 0
    for tensor in file.tensors.values():
        if is_embedding(tensor.name) or tensor.type == "F32":
            assert np.array_equal(tensor.raw, stock.tensors[tensor.name].raw)
            continue
        assert tensor.type == stock.tensors[tensor.name].type == kind
        size = size_of(*tensor.shape)
        blocks = tensor.raw.reshape(-1, size // 32, TYPE_NAMED[kind].block_bytes)
        assert_as_defined(kind, source.tensors[tensor.name].rows().reshape(-1, size), blocks)
        n_bits += size * len(blocks) * int(kind[1]) + len(blocks) * (32 if kind in ASYMMETRIC else 16)
        n_weights += size * len(blocks)
    assert made[name].ideal_bpw == n_bits / n_weights
    assert made[name].n_bytes == made[name].predicted_bytes == made[kind].n_bytes
    assert file.header.metadata.keys() == stock.header.metadata.keys()


def test_matrices_that_keep_another_type_count_as_they_are(built: Build, model: Gguf, tmp_path: Path) -> None:
    recipe = Recipe("x", "Q4_0", "per_channel", imatrix=False, pure=True, overrides=(("ffn_down", "q6_K"),))
    (file,) = quantize.quantize(model, [recipe], None, built, tmp_path, n_threads=1)
    bits = n_weights = 0.0
    for tensor in Source(Path(file.path)).tensors.values():
        if tensor.name.startswith("blk.") and tensor.type != "F32":
            bits += tensor.info.n_elements * (6.5625 if "ffn_down" in tensor.name else 4 + 16 / tensor.row_length)
            n_weights += tensor.info.n_elements
    assert file.ideal_bpw == pytest.approx(bits / n_weights, rel=1e-12)


IMPOSSIBLE = [
    (
        Recipe("x", "Q4_0", "group_wise", imatrix=False, options={"group": 160}),
        "rows of blk.* divided into groups of 160",
    ),
    (Recipe("x", "Q4_0", "per_tensor", imatrix=False, overrides=((".", "q6_K"),)), "no weight matrix"),
]


@pytest.mark.parametrize(("recipe", "reason"), IMPOSSIBLE, ids=lambda value: getattr(value, "method", ""))
def test_what_can_not_be_made_is_refused(
    recipe: Recipe, reason: str, built: Build, model: Gguf, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as e:
        quantize.quantize(model, [recipe], None, built, tmp_path, n_threads=1)
    assert re.search(reason.replace("*", ".*"), e.value.text)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("file_type", "outtype"), [("Q4_K_M", "f32"), ("Q8_0", "f32"), ("Q4_0", "f16")])
def test_weights_alone_are_those_that_llama_cpp_computes_with(
    file_type: str, outtype: str, ggml: Ggml, built: Build, model: Gguf, tmp_path: Path
) -> None:
    recipes = [
        Recipe("packed", file_type, imatrix=False),
        Recipe("numbers", file_type, "weight_only", imatrix=False, options={"outtype": outtype}),
    ]
    packed, numbers = quantize.quantize(model, recipes, None, built, tmp_path, n_threads=1)
    assert numbers.n_bytes == numbers.predicted_bytes
    ours, theirs = Source(Path(numbers.path)), Source(Path(packed.path))
    assert list(ours.tensors) == list(theirs.tensors)
    for name, tensor in theirs.tensors.items():
        mine = ours.tensors[name]
        assert mine.shape == tensor.shape
        if tensor.type == "F32":
            assert mine.type == "F32" and np.array_equal(mine.raw, tensor.raw)
        else:
            assert mine.type == outtype.upper()
            values = ggml.decode(tensor.type, tensor.raw, tensor.row_length)
            assert np.array_equal(mine.raw, values.astype(f"<{outtype[0]}{int(outtype[1:]) // 8}").view(np.uint8))
    changed = {"general.file_type", "edgeq.recipe_sha256"}
    same = [{k: v for k, v in file.header.metadata.items() if k not in changed} for file in (ours, theirs)]
    # What is made from rounded weights is marked as such, whatever its own type.
    assert same[0] == {**same[1], "edgeq.requantized": 1}
    assert ours.header.file_type == {"f32": 0, "f16": 1}[outtype]
    assert {p.name for p in tmp_path.iterdir()} == {"packed.gguf", "packed.json", "numbers.gguf", "numbers.json"}


def test_weights_that_half_precision_can_not_hold_are_refused(ggml: Ggml, raw: Path) -> None:
    blocks = ggml.encode("Q8_0", np.full((1, 32), 70000, np.float32))
    raw.write_bytes(blocks.tobytes())
    tensor = Tensor(TensorInfo("w", (32, 1), "Q8_0", 32, 34, 0), raw)
    with pytest.raises(Refused, match="F16"):
        weight_only._decoded(tensor, ggml, "F16")
    assert weight_only._decoded(tensor, ggml, "F32")[0, 0] > 65504
