"""Low-rank corrections: the factors against numpy's own decomposition, and the adapter in stock llama.cpp."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from edgeq import analyze, calibrate, quantize
from edgeq.errors import InputError
from edgeq.evaluate import Candidate, evaluate
from edgeq.quants import low_rank as method
from edgeq.records import Build, EvalSettings, Gguf, Imatrix, Recipe
from edgeq.tensors.low_rank import factors
from edgeq.tensors.source import Source
from edgeq.worker.imatrix import read_imatrix

from .conftest import CALIBRATION, EVALUATION

Floats = np.ndarray[Any, np.dtype[np.float32]]
Option = str | int | float | bool
Make = Callable[..., Gguf]


@pytest.fixture(scope="module")
def imatrix(built: Build, model: Gguf, tmp_path_factory: pytest.TempPathFactory) -> Imatrix:
    out = tmp_path_factory.mktemp("imatrix") / "imatrix.gguf"
    return calibrate.calibrate(model, (CALIBRATION,), built, out, n_chunks=4, n_threads=1)


@pytest.fixture
def make(built: Build, model: Gguf, imatrix: Imatrix, tmp_path: Path) -> Make:
    def one(recipe: Recipe, imatrix: Imatrix | None = imatrix) -> Gguf:
        return quantize.quantize(model, [recipe], imatrix, built, tmp_path, n_threads=1)[0]

    return one


def corrected(**options: Option) -> Recipe:
    return Recipe("x", "Q4_0", method="low_rank", pure=True, options=options)


def tail(matrix: Floats, rank: int) -> float:
    """The error of the best approximation of this rank (Eckart-Young)."""
    return float(np.sqrt(np.square(np.linalg.svd(matrix.astype(np.float64))[1][rank:]).sum()))


@pytest.mark.parametrize("shape", [(160, 96), (96, 160), (64, 64)])
@pytest.mark.parametrize("weighted", [False, True])
def test_factors_are_the_best_of_their_rank(shape: tuple[int, int], weighted: bool) -> None:
    rng = np.random.default_rng(7)
    error = (rng.standard_normal(shape) * rng.uniform(0.1, 3, shape[0])[:, None]).astype(np.float32)
    importance = np.exp(rng.standard_normal(shape[1]) * 3).astype(np.float32) if weighted else None
    if importance is not None:
        importance[[3, 40]] = 0  # inputs that are always 0
    scale = np.sqrt(importance) if importance is not None else np.float32(1)
    a, b = factors(error, 12, importance)
    assert (a.shape, b.shape) == ((12, shape[1]), (shape[0], 12))
    assert a.dtype == b.dtype == np.float32
    left = (error - b.astype(np.float64) @ a) * scale
    assert np.linalg.norm(left) == pytest.approx(tail(error * scale, 12), rel=1e-4)
    np.testing.assert_allclose(np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=0), rtol=1e-4)


@pytest.mark.parametrize("shape", [(96, 160), (160, 96)])
def test_full_rank_gives_the_matrix_back(shape: tuple[int, int]) -> None:
    error = np.random.default_rng(8).standard_normal(shape).astype(np.float32)
    error[:, 5] = error[:, 6]  # singular as well
    a, b = factors(error, 96)
    np.testing.assert_allclose(b @ a, error, atol=2e-5)


def test_the_adapter_holds_the_best_correction_of_every_matrix(make: Make, model: Gguf, imatrix: Imatrix) -> None:
    made = make(corrected(rank=8, adapter_type="f32", weigh=False))
    stock = make(Recipe("stock", "Q4_0", pure=True, imatrix=False))
    assert made.adapter and (made.adapter.rank, made.adapter.tensor_type) == (8, "F32")
    base, plain, source = (Source(Path(m.path)) for m in (made, stock, model))
    assert all((t.raw == plain.tensors[n].raw).all() for n, t in base.tensors.items())
    reader = gguf.GGUFReader(made.adapter.path)
    adapter = {t.name: t.data for t in reader.tensors}
    assert reader.fields[gguf.Keys.Adapter.LORA_ALPHA].contents() == 8
    names = [n for n, t in source.tensors.items() if n.startswith("blk.") and len(t.shape) == 2]
    assert adapter.keys() == {f"{n}.lora_{side}" for n in names for side in "ab"}
    importance = read_imatrix(Path(imatrix.path))
    for name in (n for n in names if n.startswith("blk.3.")):
        scale = np.sqrt(importance[name])
        error = (source.tensors[name].rows() - base.tensors[name].rows()) * scale
        added = adapter[f"{name}.lora_b"].astype(np.float64) @ adapter[f"{name}.lora_a"] * scale
        assert np.linalg.norm(error - added) == pytest.approx(tail(error, 8), rel=1e-4), name


def test_llama_cpp_is_nearer_to_the_model_with_the_adapter(
    built: Build, model: Gguf, imatrix: Imatrix, tmp_path: Path
) -> None:
    recipes = [arm.recipe for arm in method.ARMS if arm.recipe]
    stock = Recipe("stock", "Q4_0", pure=True, imatrix=False, token_embedding_type="q8_0", output_tensor_type="q8_0")
    made = quantize.quantize(model, [stock, *recipes], imatrix, built, tmp_path, n_threads=1)
    settings = EvalSettings(n_chunks=4, n_threads=1)
    _, *scored = evaluate(model, [Candidate(m) for m in made], (EVALUATION,), built, settings, tmp_path)
    without, plain, scaled, wider = (q.kld.value for r in scored if (q := analyze.quality(r)).kld)
    assert plain < 0.9 * without
    assert scaled < 0.85 * without
    assert wider < 0.9 * scaled


def test_adapters_in_q8_0_take_half_the_bytes_of_f16(make: Make) -> None:
    sizes = {}
    for kind in ("f16", "q8_0"):
        made = make(corrected(rank=32, adapter_type=kind))
        assert made.adapter
        tensors = gguf.GGUFReader(made.adapter.path).tensors
        assert {t.tensor_type.name for t in tensors} == {kind.upper()}
        sizes[kind] = sum(t.n_bytes for t in tensors)
    assert sizes["q8_0"] == sizes["f16"] * 34 // 64


def test_refusals_name_what_does_not_fit(make: Make) -> None:
    with pytest.raises(InputError, match=r"blk\.0\.attn_k\.weight has a rank of 128 at most, not 129"):
        make(corrected(rank=129))
    with pytest.raises(InputError, match="needs an importance matrix"):
        make(corrected(), imatrix=None)


REFUSED: list[tuple[dict[str, Option], str]] = [
    ({"rank": 0}, "rank"),
    ({"adapter_type": "q4_0"}, "q4_0"),
    ({"adapter_type": "q8_0", "rank": 16}, "32"),
]


@pytest.mark.parametrize(("options", "words"), REFUSED)
def test_recipes_that_are_no_correction(options: dict[str, Option], words: str) -> None:
    assert words in method.check(Recipe("x", "Q4_0", options=options))


def test_recipes_that_leave_nothing_to_correct_or_to_scale_by() -> None:
    assert "importance matrix" in method.check(Recipe("x", "Q4_0", imatrix=False))
    assert method.check(Recipe("x", "Q4_0", imatrix=False, options={"scaled": False})) == ""
    assert "F16" in method.check(Recipe("x", "F16"))
