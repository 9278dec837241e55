"""Our figures against the tools the field uses, on the same build, model, tokens and settings."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import gguf
import numpy as np
import pytest

from edgeq import analyze, calibrate, corpus, evaluate, models, quantize, store
from edgeq.records import Build, EvalSettings, Gguf, Imatrix, Recipe

from .conftest import CALIBRATION, EVALUATION

N_CHUNKS = 16
LAST_DIGIT = 5e-7  # llama-perplexity prints six decimals: what it prints may be off by this much


def tool(build: Build, role: str, *argv: object, cwd: Path | None = None) -> str:
    """Standard output of one of llama.cpp's own tools."""
    done = subprocess.run([build.tool(role), *map(str, argv)], capture_output=True, text=True, timeout=600, cwd=cwd)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout + done.stderr


def divergence(build: Build, *argv: object) -> str:
    """What llama-perplexity prints. On a busy machine it was seen to end without its statistics: then once more."""
    for _ in range(3):
        text = tool(build, "perplexity", *argv, "--kl-divergence")
        if "Same top p:" in text:
            return text
    raise AssertionError(f"no statistics in: {text[:3000]}")


def runs(files: Sequence[Gguf]) -> list[evaluate.Candidate]:
    """Files as they are."""
    return [evaluate.Candidate(m) for m in files]


def printed(text: str, label: str) -> float:
    """The number that llama-perplexity prints after a label."""
    m = re.search(rf"{re.escape(label)}\s*:\s*([\d.eE+-]+)", text)
    assert m, f"{label} is not in: {text[:3000]}"
    return float(m[1])


@pytest.fixture(scope="module")
def imatrix(built: Build, model: Gguf, tmp_path_factory: pytest.TempPathFactory) -> Imatrix:
    out = tmp_path_factory.mktemp("imatrix") / "imatrix.gguf"
    return calibrate.calibrate(model, (CALIBRATION,), built, out, n_chunks=N_CHUNKS, n_threads=2)


def test_quality_equals_llama_perplexity(built: Build, model: Gguf, ladder: tuple[Gguf, ...], tmp_path: Path) -> None:
    settings = EvalSettings(n_chunks=N_CHUNKS, n_threads=2)
    records = evaluate.evaluate(model, runs(ladder), (EVALUATION,), built, settings, tmp_path)
    base = tmp_path / "base.kld"
    common = ("-f", EVALUATION, "-c", 512, "--chunks", N_CHUNKS, "-t", 2)
    tool(built, "perplexity", "-m", model.path, *common, "--kl-divergence-base", base)
    for record in records[1:]:
        theirs = divergence(built, "-m", record.model.path, *common[2:], "--kl-divergence-base", base)
        ours = analyze.quality(record)
        assert ours.kld and ours.top1 and ours.rms_dp
        assert ours.n_tokens == N_CHUNKS * 255
        assert ours.ppl.value == pytest.approx(printed(theirs, "Mean PPL(Q)"), rel=1e-3)
        kld = printed(theirs, "Mean    KLD")
        assert abs(ours.kld.value - kld) < 0.01 * kld + LAST_DIGIT
        se = re.search(r"Mean    KLD:.*± +([\d.]+)", theirs)
        assert se and ours.kld.se == pytest.approx(float(se[1]), rel=0.01, abs=LAST_DIGIT)
        assert 100 * ours.top1.value == pytest.approx(printed(theirs, "Same top p"), rel=1e-2)
        assert 100 * ours.rms_dp.value == pytest.approx(printed(theirs, "RMS Δp"), rel=1e-2)


def test_the_reference_against_itself_has_no_divergence(built: Build, model: Gguf, tmp_path: Path) -> None:
    settings = EvalSettings(n_chunks=2, n_threads=2)
    copy = tmp_path / "copy.gguf"
    copy.write_bytes(Path(model.path).read_bytes() + b"\0")  # another hash, the same weights
    records = evaluate.evaluate(model, runs([models.describe(copy)]), (EVALUATION,), built, settings, tmp_path)
    quality = analyze.quality(records[1])
    assert quality.kld and quality.top1 and quality.ppl_ratio
    assert abs(quality.kld.value) < 1e-7
    assert quality.top1.value == 1.0
    assert quality.ppl_ratio.value == pytest.approx(1.0, abs=1e-7)


def test_turns_give_the_same_values_as_one_pass(
    built: Build, model: Gguf, ladder: tuple[Gguf, ...], tmp_path: Path
) -> None:
    settings = EvalSettings(n_chunks=2, n_threads=2)
    together = evaluate.evaluate(model, runs(ladder), (EVALUATION,), built, settings, tmp_path / "a")
    seen: list[int] = []
    apart = evaluate.evaluate(
        model,
        runs(ladder),
        (EVALUATION,),
        built,
        settings,
        tmp_path / "b",
        memory_share=1e-9,
        on_turns=lambda turns: seen.append(len(turns)),
    )
    assert seen == [len(ladder)]
    for a, b in zip(together, apart, strict=True):
        assert (a.nll_f32, a.kld_f32, a.same_top_u8) == (b.nll_f32, b.kld_f32, b.same_top_u8)


def test_importance_matrix_equals_llama_imatrix(built: Build, model: Gguf, imatrix: Imatrix, tmp_path: Path) -> None:
    out = tmp_path / "theirs.gguf"
    tool(built, "imatrix", "-m", model.path, "-f", CALIBRATION, "-c", 512, "--chunks", N_CHUNKS, "-t", 2, "-o", out)
    theirs = {t.name: t.data for t in gguf.GGUFReader(out).tensors}
    ours = {t.name: t.data for t in gguf.GGUFReader(imatrix.path).tensors}
    assert ours.keys() == theirs.keys()
    assert imatrix.n_entries * 2 == len(ours)
    for name, values in ours.items():
        np.testing.assert_allclose(values, theirs[name], rtol=1e-5, err_msg=name)


WITH = ("Q2_K", "Q4_0", "Q4_K_M", "IQ1_S", "IQ2_XXS", "IQ3_S", "IQ4_XS")
WITHOUT = ("Q3_K_L", "Q5_1", "Q8_0", "TQ2_0", "IQ4_NL", "BF16")


def test_files_equal_llama_quantize_to_the_byte(
    built: Build, model: Gguf, imatrix: Imatrix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEQ_CACHE", str(tmp_path / "cache"))  # nothing that an older edgeq has encoded
    recipes = [quantize.stock_recipe(n, built) for n in WITH]
    recipes += [quantize.stock_recipe(n, built, imatrix=False) for n in WITHOUT]
    recipes.append(Recipe("mixed", "Q4_K_S", overrides=((r"^blk\.0\.ffn_down\.weight$", "q6_K"), ("attn_v", "q8_0"))))
    made = quantize.quantize(model, recipes, imatrix, built, tmp_path / "ours", n_threads=2)
    predicted = quantize.plan(model, recipes, imatrix, built)
    for ours, recipe, prediction in zip(made, recipes, predicted, strict=True):
        options: list[object] = ["--override-kv", f"edgeq.recipe_sha256=str:{store.key_of(recipe)}"]
        if recipe.imatrix:  # its name is in the file
            options += ["--imatrix", Path(imatrix.path).name]
        for pattern, name in recipe.overrides:
            options += ["--tensor-type", f"{pattern}={name}"]
        theirs = tmp_path / "theirs.gguf"
        tool(built, "quantize", *options, model.path, theirs, recipe.file_type, 2, cwd=Path(imatrix.path).parent)
        assert Path(ours.path).read_bytes() == theirs.read_bytes(), recipe.name
        assert ours.n_bytes == prediction.n_bytes == Path(ours.path).stat().st_size, recipe.name
        assert sum(ours.tensor_types.values()) == ours.n_params == model.n_params


def test_weights_that_were_quantized_before_stay_marked(built: Build, ladder: tuple[Gguf, ...], tmp_path: Path) -> None:
    recipe = quantize.stock_recipe("F16", built)
    (back,) = quantize.quantize(ladder[0], [recipe], None, built, tmp_path, n_threads=2)
    assert not ladder[0].requantized
    assert models.describe(Path(back.path)).requantized  # also without its record
    assert back.n_bytes == back.predicted_bytes


def test_tokens_are_llama_perplexitys(built: Build, model: Gguf, tmp_path: Path) -> None:
    base = tmp_path / "base.kld"
    tool(built, "perplexity", "-m", model.path, "-f", EVALUATION, "-c", 512, "--chunks", 2, "-t", 2,
         "--kl-divergence-base", base)  # fmt: skip
    theirs = np.frombuffer(base.read_bytes()[20 : 20 + 4 * 1024], np.int32)
    ours = corpus.tokenize(model, (EVALUATION,), built, n_ctx=512, n_chunks=2)
    np.testing.assert_array_equal(ours.ids, theirs)


def test_halves_of_a_text_share_no_token(built: Build, model: Gguf) -> None:
    whole = corpus.tokenize(model, (CALIBRATION,), built, n_ctx=512, n_chunks=0)
    first = corpus.tokenize(model, (CALIBRATION,), built, n_ctx=512, n_chunks=0, part="first half")
    second = corpus.tokenize(model, (CALIBRATION,), built, n_ctx=512, n_chunks=0, part="second half")
    np.testing.assert_array_equal(np.concatenate([first.ids, second.ids]), whole.ids[: whole.n_chunks * 512])
