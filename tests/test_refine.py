"""Refining from the commands on: what it leaves alone, what it gains, how it is told, refused and resumed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner, Result

from edgeq import analyze, cli, evaluate, gguf_info, models, quantize, refine, report, store
from edgeq.errors import EdgeqError, InputError
from edgeq.pipeline import refining
from edgeq.records import Build, EvalSettings, Gguf, Moments, Summary

from .conftest import EVALUATION, MODEL

TYPES = ("Q4_0", "Q3_K_S", "IQ3_M")


def edgeq(*argv: object) -> Result:
    return CliRunner().invoke(cli.cli, [str(a) for a in argv])


@pytest.fixture(scope="module")
def out(built: Build, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Types that can be refined and one that can't, stock and refined, with statistics of the texts of edgeq."""
    folder = tmp_path_factory.mktemp("refined")
    texts = [w for t in refining.statistics(None, ()).texts for w in ("--text", t)]
    for statistics in (("--out", folder / "imatrix.gguf"), ("--second-moments", "--out", folder / "moments.gguf")):
        done = edgeq("calibrate", MODEL, *texts, "--chunks", "32", "--threads", "1", *statistics)
        assert done.exit_code == 0, done.output
    options = ("--types", ",".join(TYPES), "--imatrix", folder / "imatrix.gguf", "--out", folder)
    assert edgeq("quantize", MODEL, *options).exit_code == 0
    done = edgeq("quantize", MODEL, *options, "--refine", "--statistics", folder / "moments.gguf")
    assert done.exit_code == 0, done.output
    return folder


@pytest.fixture(scope="module")
def moments(out: Path) -> Moments:
    return models.describe_moments(out / "moments.gguf")


@pytest.fixture(scope="module")
def summary(out: Path, built: Build, model: Gguf) -> Summary:
    files = [store.load(p, Gguf) for t in TYPES for p in (out / f"{t}.json", out / f"{t}-refined.json")]
    settings = EvalSettings(n_ctx=512, n_chunks=8, first=256, n_threads=2)
    candidates = [evaluate.Candidate(f) for f in files]
    evals = evaluate.evaluate(model, candidates, (EVALUATION,), built, settings, out / "records")
    return analyze.summarize([], evals, files)


def test_refined_files_have_the_same_types_and_size(out: Path) -> None:
    for name in TYPES:
        plain, refined = (out / f"{n}.gguf" for n in (name, f"{name}-refined"))
        one, two = gguf_info.read_header(plain), gguf_info.read_header(refined)
        assert [(t.name, t.type, t.shape) for t in one.tensors] == [(t.name, t.type, t.shape) for t in two.tensors]
        assert abs(plain.stat().st_size - refined.stat().st_size) < 4096  # metadata
        assert two.metadata["edgeq.refine.n_tokens"] == store.load(out / "moments.json", Moments).n_tokens


def test_refined_files_are_better_on_text_that_nothing_has_seen(summary: Summary, out: Path) -> None:
    names = {store.load(out / f"{t}-refined.json", Gguf).sha256: t for t in TYPES}
    ratios = {names[p.refined_sha256]: p for p in summary.refined}
    assert ratios["Q4_0"].verdict == ratios["Q3_K_S"].verdict == "better"
    assert ratios["Q4_0"].ratio.value < 0.85
    text = report.markdown(summary)
    assert "Refined" in text and "better" in text


def test_what_has_no_refiner_is_as_the_encoder_made_it(out: Path) -> None:
    plain, refined = (gguf_info.read_header(out / f"IQ3_M{s}.gguf") for s in ("", "-refined"))
    one, two = (p.parts[0].read_bytes() for p in (plain, refined))
    kinds = set()
    for a, b in zip(plain.tensors, refined.tensors, strict=True):
        if one[a.offset : a.offset + a.n_bytes] != two[b.offset : b.offset + b.n_bytes]:
            kinds.add(a.type)
    assert kinds == {"Q4_K"}
    record = store.load(out / "IQ3_M-refined.json", Gguf).refined
    assert record and not any("IQ3_S" in c.name for c in record.classes)


def test_a_file_that_is_there_is_refined_to_the_same_bytes(out: Path, tmp_path: Path) -> None:
    """Whoever made it: the same blocks to begin with give the same end."""
    made = tmp_path / "made.gguf"
    options = ("--source", MODEL, "--statistics", out / "moments.gguf", "--out", made)
    done = edgeq("refine", out / "Q4_0.gguf", *options)
    assert done.exit_code == 0, done.output
    assert "attn_q Q4_0" in done.output
    ours, theirs = gguf_info.read_header(made), gguf_info.read_header(out / "Q4_0-refined.gguf")
    one, two = made.read_bytes(), (out / "Q4_0-refined.gguf").read_bytes()
    for a, b in zip(ours.tensors, theirs.tensors, strict=True):
        assert one[a.offset : a.offset + a.n_bytes] == two[b.offset : b.offset + b.n_bytes], a.name


def test_a_second_run_does_nothing_again(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {p: p.stat().st_mtime_ns for p in out.glob("*.gguf")}
    monkeypatch.setattr("edgeq.programs.native", None)
    options = ("--imatrix", out / "imatrix.gguf", "--statistics", out / "moments.gguf", "--out", out)
    assert edgeq("quantize", MODEL, "--types", ",".join(TYPES), "--refine", *options).exit_code == 0
    assert {p: p.stat().st_mtime_ns for p in out.glob("*.gguf")} == before


def test_refining_carries_on_where_it_was_killed(
    out: Path, built: Build, model: Gguf, moments: Moments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tensors that are done lie in the pool; of the file nothing is left behind."""
    pool = tmp_path / "cache" / "pool"
    monkeypatch.setattr(store, "cache_dir", lambda: tmp_path / "cache")
    file = store.load(out / "Q3_K_S.json", Gguf)

    class KilledError(Exception):
        pass

    def stop(share: float) -> None:
        if share > 0.5:
            raise KilledError

    target = tmp_path / "made.gguf"
    with pytest.raises(KilledError):
        refine.refine(file, model, moments, built, target, n_threads=2, on_progress=stop)
    assert not target.exists()
    kept = {p.name: p.stat().st_mtime_ns for p in pool.iterdir() if not p.name.startswith(".")}
    assert len(kept) > 5
    refine.refine(file, model, moments, built, target, n_threads=2)
    after = {p.name for p in pool.iterdir()}
    assert kept.keys() < after


def test_folding_and_refining_go_together(out: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "folded.yaml"
    text = "name: NAME\nfile_type: Q4_0\nmethod: activation_aware\noptions: {fold: true}\n"
    recipe.write_text(text.replace("NAME", "folded"))
    options = ("--imatrix", out / "imatrix.gguf", "--statistics", out / "moments.gguf", "--out", tmp_path)
    done = edgeq("quantize", MODEL, "--recipes", recipe, "--refine", *options)
    assert done.exit_code == 0, done.output
    made = store.load(tmp_path / "folded-refined.json", Gguf)
    assert made.refined and all(c.loss < 1 for c in made.refined.classes if c.n_better)
    assert sum(c.n_better for c in made.refined.classes) > 20
    # Without the scales it is another model's file.
    again = edgeq("refine", made.path, "--source", MODEL, "--statistics", out / "moments.gguf", "--out", tmp_path / "x")
    assert isinstance(again.exception, EdgeqError)


def test_a_run_shows_stock_and_refined_side_by_side(tmp_path: Path) -> None:
    options = ("--text", EVALUATION, "--calibration-text", EVALUATION.with_name("weird.txt"), "--chunks", "4")
    options += ("--tests", "pp16", "--reps", "2", "--calibration-chunks", "4", "--threads", "1")
    options += ("--out", tmp_path / "run")
    done = edgeq("run", MODEL, "--types", "Q3_K_M", "--refine", *options)
    assert done.exit_code == 0, done.output
    found = store.load(tmp_path / "run" / "summary.json", Summary)
    assert {"Q3_K_M", "Q3_K_M-refined"} <= {r.name for r in found.rows}
    (pair,) = found.refined
    assert pair.verdict in ("better", "no better", "worse") and pair.ci95
    assert "Q3_K_M-refined" in done.output
    for command in ("verify", "report"):
        checked = edgeq(command, tmp_path / "run")
        assert checked.exit_code == 0, checked.output


def test_what_does_not_belong_together_is_refused(
    out: Path, built: Build, model: Gguf, smollm2: Path, tmp_path: Path
) -> None:
    stock, statistics = out / "Q4_0.gguf", out / "moments.gguf"
    other = tmp_path / "other.gguf"
    header = gguf_info.read_header(MODEL)
    data = bytearray(MODEL.read_bytes())
    q = next(t for t in header.tensors if t.name == "blk.0.attn_q.weight")
    data[q.offset : q.offset + q.n_bytes] = (
        np.random.default_rng(0).normal(0, 0.1, q.n_elements).astype("<f2").tobytes()
    )
    other.write_bytes(data)
    foreign = tmp_path / "foreign.gguf"  # of a model with the same shapes
    foreign.write_bytes(statistics.read_bytes())
    record = store.load(statistics.with_suffix(".json"), Moments)
    store.save(foreign.with_suffix(".json"), msgspec.structs.replace(record, model_sha256="0" * 64), "key")
    for argv, said in (
        ((stock, "--source", MODEL, "--statistics", foreign), "was computed from another file than"),
        ((stock, "--source", smollm2, "--statistics", statistics), "was computed from another file than"),
        ((stock, "--source", MODEL, "--statistics", out / "imatrix.gguf"), "holds no second moments"),
        ((MODEL, "--source", MODEL, "--statistics", statistics), "no tensor of this file can be refined"),
    ):
        done = edgeq("refine", *argv, "--out", tmp_path / "x.gguf")
        assert isinstance(done.exception, EdgeqError), done.output
        assert said in str(done.exception)
        assert not (tmp_path / "x.gguf").exists()
    made_from_other = msgspec.structs.replace(record, model_sha256="of the other")
    file, source = models.describe(stock), models.describe(other)
    with pytest.raises(EdgeqError, match="was not made from this source"):
        refine.refine(file, source, made_from_other, built, tmp_path / "x.gguf", n_threads=2)
    with pytest.raises(InputError, match="no second moments"):
        recipe = msgspec.structs.replace(quantize.stock_recipe("Q4_0", built), refine=True)
        quantize.quantize(model, [recipe], None, built, tmp_path, n_threads=2)


def test_statistics_without_refining_are_refused(out: Path) -> None:
    for command in ("run", "quantize"):
        done = edgeq(command, MODEL, "--types", "Q4_0", "--statistics", out / "moments.gguf", "--out", out / "x")
        assert done.exit_code == 2 and "--statistics belong to --refine" in done.output


def test_llama_cpp_reads_refined_files(out: Path, built: Build) -> None:
    argv = [built.tool("perplexity"), "-m", out / "Q3_K_S-refined.gguf", "-f", EVALUATION, "-c", "256", "--chunks", "2"]
    done = subprocess.run([*map(str, argv), "-t", "2"], capture_output=True, text=True, check=True)
    assert "Final estimate" in done.stdout + done.stderr
