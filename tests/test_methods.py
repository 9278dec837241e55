"""`edgeq methods` from end to end, on the project's own model: every method runs, and what can't run says why."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from edgeq import gguf_info, plugins, store
from edgeq.records import Build, MethodsTable
from tests.conftest import CALIBRATION, EVALUATION, MODEL
from tests.test_run import edgeq

OPTIONS = (
    *("--calibration-text", str(CALIBRATION), "--text", str(EVALUATION), "--chunks", "2", "--calibration-chunks", "16"),
    *("--types", "Q4_K_M", "--threads", "2"),
)


def methods(*more: str, out: Path) -> tuple[int, MethodsTable | None, str]:
    """(exit code, the table, standard error) of one call."""
    done = edgeq("methods", MODEL, *OPTIONS, *more, "--out", out, "--json")
    table = msgspec.json.decode(done.stdout, type=MethodsTable) if done.returncode == 0 else None
    return done.returncode, table, done.stderr


@pytest.fixture(scope="module")
def folder(built: Build, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All twelve, fidelity only."""
    return tmp_path_factory.mktemp("methods") / "all"


@pytest.fixture(scope="module")
def table(folder: Path) -> MethodsTable:
    """What came out."""
    code, found, _ = methods("--measure", "fidelity", "--qat", str(folder / "nowhere.gguf"), out=folder)
    assert code == 0
    assert found
    return found


def test_every_method_has_an_arm_that_was_measured(table: MethodsTable) -> None:
    measured = {row.number for row in table.rows if not row.skipped and row.quality}
    assert measured == set(range(1, 13))
    skipped = {row.arm.name: row.skipped for row in table.rows if row.skipped}
    assert list(skipped) == ["nowhere"]
    assert "nowhere.gguf" in skipped["nowhere"]


def test_both_texts_are_scored_with_the_floor_beside_them(table: MethodsTable) -> None:
    assert set(table.texts) == {CALIBRATION.name, EVALUATION.name}
    assert set(table.floor) == set(table.texts)
    for row in table.rows:
        if not row.skipped:
            assert set(row.quality) == set(table.texts), row.arm.name
            assert all(q.kld and q.kld.value >= 0 for q in row.quality.values())
    assert all(q.kld and q.kld.value < 1e-6 for q in table.floor.values())


def test_granularity_orders_the_loss(table: MethodsTable) -> None:
    """Whatever the model: a scale for a tensor, a row, 64 and 32 values, on the same tensors and codes."""
    kld = {r.arm.recipe.name: r.quality[EVALUATION.name].kld.value for r in table.rows if r.quality and r.arm.recipe}  # type: ignore[union-attr]
    assert kld["Q4_0-tensor"] > kld["Q4_0-row"] > kld["Q4_0-g64"] > kld["Q4_0"]


def test_a_size_or_speed_that_is_not_the_methods_own_is_no_figure(table: MethodsTable) -> None:
    for row in table.rows:
        if not row.arm.size_valid:
            assert row.size_reduction is None
        if not row.arm.speed_valid:
            assert not row.speeds
            assert not row.speedups


def test_the_claims_are_judged_or_said_to_be_unmeasured(table: MethodsTable) -> None:
    assert len(table.claims) >= 6
    for claim in table.claims:
        if claim.verdict == "not measurable here":
            assert claim.reason, claim
        else:
            assert claim.figure, claim
            assert claim.basis, claim


def test_the_same_tensors_are_quantized_and_the_embeddings_are_alike(table: MethodsTable, folder: Path) -> None:
    source = gguf_info.read_header(MODEL)
    for row in table.rows:
        if row.arm.recipe and row.arm.recipe.token_embedding_type == "q8_0" and row.arm.method != "weight_only":
            path = folder / "models" / f"{row.arm.recipe.name}.gguf"
            types = {t.name: t.type for t in gguf_info.read_header(path).tensors}
            if set(types.values()) == {"F32"}:  # dequantized for another method
                continue
            assert types["token_embd.weight"] == "Q8_0"
            changed = {t.name for t in source.tensors if types[t.name] != t.type}
            assert changed == {t.name for t in source.tensors if len(t.shape) > 1 and "norm" not in t.name}


def test_a_second_call_does_nothing_again(folder: Path, table: MethodsTable) -> None:
    files = {p: p.stat().st_mtime_ns for d in ("models", "records") for p in (folder / d).iterdir()}
    code, again, _ = methods("--measure", "fidelity", "--qat", str(folder / "nowhere.gguf"), out=folder)
    assert code == 0
    assert again == table
    assert {p: p.stat().st_mtime_ns for d in ("models", "records") for p in (folder / d).iterdir()} == files


def test_its_folder_is_what_its_manifest_says(folder: Path, table: MethodsTable) -> None:
    assert edgeq("verify", folder).returncode == 0
    assert store.load(folder / "methods.json", MethodsTable) == table
    assert msgspec.json.decode(edgeq("report", folder, "--json").stdout, type=MethodsTable) == table
    assert edgeq("report", folder, "--csv").stdout.count("\n") > 30
    assert "<table" in (folder / "report.html").read_text()


def test_everything_is_measured_of_one_method(built: Build, tmp_path: Path) -> None:
    """The rest of the rooms: tasks, long text, generation and bench, on the method with an adapter."""
    few = ("--methods", "low_rank", "--items", "10", "--reps", "2", "--tests", "pp64,tg16", "--long-ctx", "256")
    code, found, _ = methods(*few, out=tmp_path / "one")
    assert code == 0
    assert found
    for row in found.rows:
        assert row.tasks
        assert row.stability
        assert row.speedups
        assert row.rss_peak_bytes
        assert row.late_kld_ratio


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (("--methods", "per_chanel"), 3, "per_channel"),
        (("--measure", "speed"), 3, "measure"),
        (("--methods", "stock"), 3, "no method"),
    ],
)
def test_what_was_asked_wrongly_is_said(
    built: Build, tmp_path: Path, more: tuple[str, ...], code: int, said: str
) -> None:
    found, _, error = methods(*more, out=tmp_path / "none")
    assert found == code
    assert said in error


def test_every_method_is_on_the_shelf_once() -> None:
    numbers = [plugins.module("quants", name).NUMBER for name in plugins.modules("quants")]
    assert sorted(numbers) == list(range(13))
