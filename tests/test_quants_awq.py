"""Activation-aware rounding: folded scales leave the model as it is, and the error they leave is smaller."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeq import analyze, calibrate, models, quantize
from edgeq.errors import InputError
from edgeq.evaluate import Candidate, evaluate
from edgeq.quants import activation_aware as method
from edgeq.records import Build, EvalSettings, Gguf, Imatrix, Recipe
from edgeq.tensors import families, folding
from edgeq.tensors import importance as importances
from edgeq.tensors.families import Link
from edgeq.tensors.folding import Factors, Search
from edgeq.tensors.ggml import Ggml
from edgeq.tensors.refused import Refused
from edgeq.tensors.source import Source
from edgeq.tensors.work import Importance
from edgeq.worker.imatrix import read_imatrix

from .conftest import CALIBRATION, EVALUATION

Floats = np.ndarray[Any, np.dtype[np.float32]]
Doubles = np.ndarray[Any, np.dtype[np.float64]]
FOLD: dict[str, str | int | float | bool] = {"fold": True}
FOLD_ONLY: dict[str, str | int | float | bool] = {"fold": True, "weigh": False}


@pytest.fixture(scope="module")
def whole(built: Build, model: Gguf, tmp_path_factory: pytest.TempPathFactory) -> Gguf:
    """The model in F32."""
    recipe = Recipe("F32", "F32", imatrix=False)
    return quantize.quantize(model, [recipe], None, built, tmp_path_factory.mktemp("f32"), n_threads=1)[0]


@pytest.fixture(scope="module")
def source(whole: Gguf) -> Source:
    return Source(Path(whole.path))


@pytest.fixture(scope="module")
def imatrix(built: Build, whole: Gguf, tmp_path_factory: pytest.TempPathFactory) -> Imatrix:
    return calibrated(built, whole, tmp_path_factory.mktemp("imatrix"))


@pytest.fixture(scope="module")
def importance(imatrix: Imatrix) -> Importance:
    return read_imatrix(Path(imatrix.path))


@pytest.fixture(scope="module")
def ggml(built: Build) -> Ggml:
    return Ggml(Path(built.folder) / "bin" / "libggml-base.so", 1)


@pytest.fixture(scope="module")
def folded(source: Source, tmp_path_factory: pytest.TempPathFactory) -> tuple[Factors, Gguf]:
    """Every link of every block scaled at random, and the file with that folded in."""
    factors = Factors()
    for k, link in enumerate(all_links(source)):
        factors.add(link, random_scales(link, k))
    out = tmp_path_factory.mktemp("folded") / "folded.gguf"
    folding.write(source, factors, out, lambda *_: None)
    return factors, models.describe(out)


def calibrated(build: Build, model: Gguf, folder: Path) -> Imatrix:
    return calibrate.calibrate(model, (CALIBRATION,), build, folder / "imatrix.gguf", n_chunks=4, n_threads=1)


def all_links(source: Source) -> list[Link]:
    family = families.of(source)
    return [link for layer in range(family.n_layers) for link in family.links(layer)]


def random_scales(link: Link, seed: int) -> Floats:
    return np.exp(np.random.default_rng(seed).normal(0, 0.5, link.n_channels)).astype(np.float32)


def test_each_link_leaves_what_is_computed_through_it(source: Source) -> None:
    family = families.of(source)
    rng = np.random.default_rng(3)
    heads = family.heads
    normed, gate = rng.standard_normal(family.n_embd), rng.standard_normal(family.n_ff)
    mixed = rng.standard_normal(heads.n)  # what attention makes of the values differs from head to head

    def through(link: Link, factors: Factors) -> list[Doubles]:
        def of(name: str) -> Doubles:
            tensor = source.tensors[name]
            return factors.scaled(tensor, 0, tensor.n_rows).astype(np.float64)

        first = link.rows[0]
        if first.endswith("norm.weight"):
            return [of(name) @ (of(first)[0] * normed) for name in link.columns]
        made = of(first) @ normed
        if "attn_v" in first:
            per_head = made.reshape(heads.n_kv, heads.dim).repeat(heads.group, axis=0)
            return [of(link.columns[0]) @ (per_head * mixed[:, None]).ravel()]
        return [of(link.columns[0]) @ (made * gate)]

    links = family.links(2)
    assert [len(link.columns) for link in links] == [3, 1, 2, 1]
    for seed, link in enumerate(links):
        factors = Factors()
        factors.add(link, random_scales(link, seed))
        for before, after in zip(through(link, Factors()), through(link, factors), strict=True):
            np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-5 * np.abs(before).max())


def test_llama_cpp_computes_the_same_with_all_links_folded(
    built: Build, whole: Gguf, source: Source, folded: tuple[Factors, Gguf], tmp_path: Path
) -> None:
    tensors = Source(Path(folded[1].path)).tensors
    changed = [n for n, t in tensors.items() if (t.raw != source.tensors[n].raw).any()]
    assert len(changed) == 9 * whole.n_layers  # all but the embedding and the last norm
    settings = EvalSettings(n_chunks=4, n_threads=1)
    _, record = evaluate(whole, [Candidate(folded[1])], (EVALUATION,), built, settings, tmp_path)
    kld = analyze.quality(record).kld
    assert kld and abs(kld.value) < 1e-6


def test_the_rescaled_matrix_is_what_a_new_calibration_gives(
    built: Build, importance: Importance, folded: tuple[Factors, Gguf], tmp_path: Path
) -> None:
    ours = folding.rescaled(importance, folded[0])
    theirs = read_imatrix(Path(calibrated(built, folded[1], tmp_path).path))
    assert ours.keys() == theirs.keys()
    for name, values in theirs.items():
        np.testing.assert_allclose(ours[name], values, rtol=1e-3, err_msg=name)


@pytest.mark.parametrize("of", ["F16", "F32"])
def test_scales_of_1_give_the_same_bytes(of: str, model: Gguf, whole: Gguf, tmp_path: Path) -> None:
    source = Source(Path((model if of == "F16" else whole).path))
    factors = Factors()
    for link in all_links(source):
        factors.add(link, np.ones(link.n_channels, np.float32))
    folding.write(source, factors, tmp_path / "x.gguf", lambda *_: None)
    again = Source(tmp_path / "x.gguf")
    assert again.header.metadata == source.header.metadata
    assert [(t.info, t.raw.tobytes()) for t in again.tensors.values()] == [
        (t.info, t.raw.tobytes()) for t in source.tensors.values()
    ]


@pytest.mark.parametrize("options", [FOLD, FOLD_ONLY])
def test_every_input_has_a_smaller_output_error_than_unfolded(
    options: dict[str, str | int | float | bool],
    built: Build,
    whole: Gguf,
    source: Source,
    imatrix: Imatrix,
    importance: Importance,
    ggml: Ggml,
    tmp_path: Path,
) -> None:
    weigh = "weigh" not in options
    recipes = [
        Recipe("stock", "Q3_K_M", imatrix=weigh),
        Recipe("folded", "Q3_K_M", method="activation_aware", options=options),
    ]
    stock, made = (
        Source(Path(m.path)) for m in quantize.quantize(whole, recipes, imatrix, built, tmp_path, n_threads=1)
    )
    kinds = {name: tensor.type for name, tensor in made.tensors.items()}
    assert kinds == {name: tensor.type for name, tensor in stock.tensors.items()}
    search = Search(source, importance, kinds, ggml, weigh)
    factors, alphas = Factors(), []
    for link in all_links(source):
        choice = search.choose(link)
        factors.add(link, choice.scales)
        alphas.append(choice.alpha)
    assert len(set(alphas)) > 2  # each input has its own exponent
    given = folding.rescaled(importance, factors) if weigh else {}
    for link in all_links(source):
        errors = np.zeros(2)
        for name in link.columns:
            tensor, folded = source.tensors[name], made.tensors[name]
            values = factors.scaled(tensor, 0, tensor.n_rows)
            assert (ggml.encode(folded.type, values, given.get(name)) == folded.raw).all(), name
            multiplied = factors.columns[name] * factors.rows.get(name, np.ones(tensor.n_rows, np.float32))[:, None]
            for i, back in enumerate((stock.tensors[name].rows(), folded.rows() / multiplied)):
                lost = (back - tensor.rows()).astype(np.float64)
                errors[i] += np.square(lost).sum(axis=0) @ importance[name]
        assert errors[1] <= errors[0] * 1.02, (link.columns, errors)  # chosen on a sample of the rows


def test_scales_have_a_geometric_mean_of_1_and_leave_padding_alone(
    source: Source, importance: Importance, ggml: Ggml
) -> None:
    link = all_links(source)[2]
    silent = {n: v.copy() for n, v in importance.items()}
    for name in link.columns:
        silent[name][40:72] = 0
    search = Search(source, silent, dict.fromkeys(link.columns, "Q4_0"), ggml, weigh=True, alphas=(0.45,))
    found = search.choose(link)
    assert (found.scales[40:72] == 1).all()
    live = np.delete(found.scales, np.s_[40:72])
    moments = np.delete(silent[link.columns[0]], np.s_[40:72])
    assert np.log(live).mean() == pytest.approx(0, abs=1e-5)
    np.testing.assert_allclose(live / live[0], (moments / moments[0]) ** 0.225, rtol=1e-4)


@pytest.mark.parametrize("factor", [1e8, 1e-7])
def test_weights_that_f16_cannot_hold_are_refused(factor: float, model: Gguf, tmp_path: Path) -> None:
    name = "blk.0.ffn_up.weight"
    factors = Factors(columns={name: np.full(256, factor, np.float32)})
    with pytest.raises(Refused, match=r"blk\.0\.ffn_up\.weight does not fit into F16"):
        folding.write(Source(Path(model.path)), factors, tmp_path / "x.gguf", lambda *_: None)


def test_matrices_of_another_model_are_refused(source: Source, importance: Importance, ggml: Ggml) -> None:
    name = "blk.3.ffn_up.weight"
    importances.check(importance, source)
    for wrong, words in (
        ({name: importance[name][:-1]}, f"another model: {name} has 256 inputs, not 255"),
        ({"blk.9.ffn_up.weight": importance[name]}, "another model: this one has no blk.9.ffn_up.weight"),
        ({name: np.full(256, np.nan, np.float32)}, f"values for {name} that are no mean squares"),
    ):
        with pytest.raises(Refused, match=words):
            importances.check({**importance, **wrong}, source)
    search = Search(source, {n: v for n, v in importance.items() if n != name}, {}, ggml, weigh=True)
    with pytest.raises(Refused, match=f"no entry for {name}"):
        search.choose(families.of(source).links(3)[2])


@pytest.mark.parametrize("options", [{}, FOLD])
def test_without_a_matrix_it_is_refused(
    options: dict[str, str | int | float | bool], built: Build, model: Gguf, tmp_path: Path
) -> None:
    recipe = Recipe("x", "Q4_0", method="activation_aware", options=options)
    with pytest.raises(InputError, match="needs an importance matrix"):
        quantize.quantize(model, [recipe], None, built, tmp_path, n_threads=1)


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        (Recipe("x", "Q4_0", imatrix=False), "importance matrix"),
        (Recipe("x", "Q4_0", imatrix=False, options=FOLD), "importance matrix"),
        (Recipe("x", "Q4_0", options={"weigh": False}), "neither"),
        (Recipe("x", "Q8_0"), "Q8_0"),
        (Recipe("x", "TQ2_0"), "TQ2_0"),
        (Recipe("x", "F16", options=FOLD), "F16"),
    ],
)
def test_recipes_that_take_no_account_of_activations(recipe: Recipe, words: str) -> None:
    assert words in method.check(recipe)


def test_what_the_encoder_ignores_can_be_folded_in() -> None:
    assert method.check(Recipe("x", "Q8_0", options=FOLD)) == ""
    assert method.check(Recipe("x", "Q8_0", overrides=(("ffn_up", "q4_K"),))) == ""
