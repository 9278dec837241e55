"""The contract of every quantization method on the shelf, and what its arms promise."""

from __future__ import annotations

import re
from types import ModuleType

import pytest

from edgeq import quantize
from edgeq.plugins import module, modules
from edgeq.records import Arm, Build, Gguf, Recipe

METHODS = modules("quants")
ARMS = [arm for name in METHODS for arm in module("quants", name).ARMS]


@pytest.fixture(params=METHODS)
def method(request: pytest.FixtureRequest) -> ModuleType:
    """Each file of the shelf."""
    return module("quants", request.param)


def name_of(method: ModuleType) -> str:
    return method.__name__.rpartition(".")[2]


def test_the_twelve_and_stock_are_there() -> None:
    assert sorted(module("quants", name).NUMBER for name in METHODS) == list(range(13))
    assert len({module("quants", name).TITLE for name in METHODS}) == 13


def test_contract(method: ModuleType) -> None:
    assert method.DEFINITION.endswith(".") and ". " not in method.DEFINITION
    assert all(isinstance(default, (str, int, float, bool)) for default in method.OPTIONS.values())
    assert callable(method.apply)
    stock = {"a.weight": "Q4_0", "b.weight": "F32", "c.weight": "F16"}
    types = method.types(Recipe("x", "Q4_0", method=name_of(method)), dict(stock))
    assert types.keys() == stock.keys()
    assert types["b.weight"] == "F32" and types["c.weight"] == "F16"


def test_a_method_but_stock_quantizes(method: ModuleType) -> None:
    for file_type in ("F16", "BF16", "F32"):
        reason = method.check(Recipe("x", file_type, method=name_of(method), imatrix=False))
        assert reason == "" if method.NUMBER == 0 else reason.endswith(".")


def test_arms_show_their_method(method: ModuleType) -> None:
    arms: tuple[Arm, ...] = method.ARMS
    assert len({arm.name for arm in arms}) == len(arms)
    assert {arm.method for arm in arms} <= {name_of(method)}
    assert method.NUMBER == 0 or any(not arm.control and arm.numerics == "exact" for arm in arms)


@pytest.mark.parametrize("arm", ARMS, ids=lambda arm: f"{arm.method}-{arm.name}")
def test_arms_are_comparable_and_honest(arm: Arm, built: Build) -> None:
    assert (arm.numerics == "simulated") == (arm.activations is not None)
    assert not (arm.activations and (arm.speed_valid or arm.size_valid))
    if arm.recipe is None:
        assert arm.control and arm.activations
        return
    made_by = module("quants", arm.recipe.method)
    assert made_by.check(arm.recipe) == ""
    assert arm.recipe.options.keys() <= made_by.OPTIONS.keys()
    assert all(type(value) is type(made_by.OPTIONS[key]) for key, value in arm.recipe.options.items())
    assert arm.recipe.file_type in quantize.file_types(built)
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]*", arm.recipe.name)
    assert arm.recipe.pure and not arm.recipe.overrides
    assert arm.recipe.token_embedding_type == arm.recipe.output_tensor_type == "q8_0"


def test_a_name_stands_for_one_recipe() -> None:
    recipes = [arm.recipe for arm in ARMS if arm.recipe]
    by_name = {recipe.name: recipe for recipe in recipes}
    assert all(by_name[recipe.name] == recipe for recipe in recipes)


REFUSED = [
    ("symmetric", Recipe("x", "Q4_1"), "Q4_1 is not symmetric"),
    ("symmetric", Recipe("x", "Q4_K_M"), "Q4_K_M is not symmetric"),
    ("asymmetric", Recipe("x", "Q6_K"), "Q6_K is not asymmetric"),
    ("static", Recipe("x", "Q4_0"), "imatrix"),
    ("per_tensor", Recipe("x", "Q4_0"), "imatrix"),
    ("per_channel", Recipe("x", "Q4_K_M", imatrix=False), "one full scale each"),
    ("group_wise", Recipe("x", "Q4_0", imatrix=False, options={"group": 48}), "multiple of 32"),
    ("group_wise", Recipe("x", "Q4_0", imatrix=False, options={"group": -32}), "multiple of 32"),
    ("group_wise", Recipe("x", "Q6_K", imatrix=False, options={"group": 64}), "one full scale each"),
    ("weight_only", Recipe("x", "Q4_0", options={"outtype": "q8_0"}), "f32 or f16"),
    ("extreme", Recipe("x", "IQ3_XXS"), "3 bits"),
]


@pytest.mark.parametrize(("name", "recipe", "reason"), REFUSED)
def test_recipes_of_another_method_are_refused(name: str, recipe: Recipe, reason: str) -> None:
    assert reason in module("quants", name).check(recipe)


ACCEPTED = [
    ("symmetric", Recipe("x", "Q3_K_L")),
    ("asymmetric", Recipe("x", "Q5_K_S")),
    ("dynamic", Recipe("x", "IQ4_XS")),
    ("group_wise", Recipe("x", "Q6_K")),
    ("extreme", Recipe("x", "IQ2_S")),
]


@pytest.mark.parametrize(("name", "recipe"), ACCEPTED)
def test_mixes_and_importance_matrices_are_welcome_where_they_fit(name: str, recipe: Recipe) -> None:
    assert module("quants", name).check(recipe) == ""


@pytest.mark.parametrize("name", ["symmetric", "asymmetric"])
def test_arms_hold_only_types_of_their_kind(name: str, built: Build, model: Gguf) -> None:
    method = module("quants", name)
    for made in quantize.plan(model, [arm.recipe for arm in method.ARMS], None, built):
        kinds = {kind for tensor, kind in made.tensor_types.items() if tensor.startswith("blk.") and kind != "F32"}
        assert kinds and kinds <= set(method.TYPES)
