"""A run whose files are all as they were made, and whose records do not belong together."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest

from edgeq import manifest, store
from edgeq.errors import InputError
from edgeq.records import BenchRecord, EvalRecord, Gguf, Imatrix, Record, Run, Summary
from edgeq.verify import verify

from .conftest import MODEL
from .test_bad_input import refused
from .test_run import FAST, TEXTS, edgeq

R = TypeVar("R", bound=Record)
replace = msgspec.structs.replace


_MADE: list[Path] = []


def small_run(factory: pytest.TempPathFactory) -> Path:
    """A small finished run, made once for all tests that only read it."""
    if not _MADE:
        out = factory.mktemp("run") / "out"
        done = edgeq("run", MODEL, "--types", "Q4_K_M,IQ2_XXS", *TEXTS, *FAST, "--out", out)
        assert done.returncode == 0, done.stderr
        _MADE.append(out)
    return _MADE[0]


@pytest.fixture(scope="module")
def run(built: object, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small run; nothing may change it."""
    return small_run(tmp_path_factory)


@pytest.fixture
def copied(run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run, tmp_path / "moved"))


def change(folder: Path, pattern: str, kind: type[R], edit: Callable[[R], R]) -> str:
    """Edit the record and write a manifest that agrees, as a careful forger would; the record's path."""
    path = sorted(folder.glob(pattern))[0]
    store.save(path, edit(store.load(path, kind)), "key")
    again(folder)
    return str(path)


def again(folder: Path) -> None:
    manifest.write(folder, [folder / n for n in manifest.read(folder) if (folder / n).exists()])


def test_a_finished_run_verifies_with_and_without_its_models(copied: Path) -> None:
    done = edgeq("verify", copied)
    assert done.returncode == 0 and "all 16 files" in done.stdout, done.stderr
    for path in (copied / "models").glob("*.gguf"):
        path.unlink()
    with pytest.raises(InputError, match=r"models/IQ2_XXS\.gguf is missing"):
        verify(copied)
    again(copied)
    assert verify(copied) == 13


def other_commit(r: BenchRecord) -> BenchRecord:
    return replace(r, build=replace(r.build, llama_commit="f" * 40))


def other_model(e: EvalRecord) -> EvalRecord:
    return replace(e, model=replace(e.model, sha256="e" * 64))


def other_settings(r: BenchRecord) -> BenchRecord:
    return replace(r, settings=replace(r.settings, n_ubatch=64))


def other_reps(r: BenchRecord) -> BenchRecord:
    return replace(r, settings=replace(r.settings, n_reps=77))


def other_mode(r: BenchRecord) -> BenchRecord:
    return replace(r, host=replace(r.host, power_mode="MAXN"))


def other_build(e: EvalRecord) -> EvalRecord:
    return replace(e, build=replace(e.build, key="0123456789abcdef"))


def other_reference(e: EvalRecord) -> EvalRecord:
    return replace(e, reference=replace(e.reference, sha256="d" * 64))


def other_type(r: BenchRecord) -> BenchRecord:
    return replace(r, model=replace(r.model, file_type="Q8_0"))


def other_row(s: Summary) -> Summary:
    return replace(s, rows=(*s.rows, replace(s.rows[0], sha256="c" * 64)))


def other_plan(r: Run) -> Run:
    return replace(r, plan=replace(r.plan, n_ctx=256))


CASES = [
    ("records/bench-Q4*", BenchRecord, other_commit, "llama.cpp's commit is ffff"),
    ("records/bench-Q4*", BenchRecord, other_settings, "the settings is {"),
    ("records/bench-Q4*", BenchRecord, other_reps, "n_reps is 77, and run.json says 2"),
    ("records/bench-Q4*", BenchRecord, other_mode, "the host's condition is"),
    ("records/bench-Q4*", BenchRecord, other_type, "its model's file_type is Q8_0, and models/Q4_K_M.json says Q4_K_M"),
    ("records/eval-Q4*", EvalRecord, other_model, "which no record describes"),
    ("records/eval-Q4*", EvalRecord, other_build, "the build's key is 0123456789abcdef"),
    ("records/eval-Q4*", EvalRecord, other_reference, "the model that it refers to is dddddddddddd..."),
    ("records/eval-Q4*", EvalRecord, lambda e: replace(e, kld_f32=e.kld_f32[4:]), "bytes of kld_f32"),
    ("records/eval-Q4*", EvalRecord, lambda e: replace(e, tokens_sha256="b" * 64), "tokens_sha256 is bbbbbbbbbbbb..."),
    ("models/Q4*.json", Gguf, lambda m: replace(m, sha256="a" * 64), "the file Q4_K_M.gguf says"),
    ("models/Q4*.json", Gguf, lambda m: replace(m, imatrix_sha256="a" * 64), "its importance matrix is aaaa"),
    (
        "models/imatrix.json",
        Imatrix,
        lambda i: replace(i, model_sha256="a" * 64),
        "the model that it refers to is aaaa",
    ),
    ("summary.json", Summary, other_row, "is a file that no record describes"),
]


@pytest.mark.parametrize(("pattern", "kind", "edit", "said"), CASES)
def test_what_does_not_belong_is_named(
    copied: Path, pattern: str, kind: type[Record], edit: Callable[[Record], Record], said: str
) -> None:
    path = change(copied, pattern, kind, edit)
    with pytest.raises(InputError) as e:
        verify(copied)
    assert said in e.value.text
    assert path.rpartition("/")[2] in e.value.text and e.value.hint
    assert e.value.exit_code == 3


def test_the_plan_counts_too_and_the_command_says_so(copied: Path) -> None:
    change(copied, "run.json", Run, other_plan)
    refused(edgeq("verify", copied), 3, "n_ctx is 512, and run.json says 256", "mixes files of several runs")


def test_a_model_that_came_in_unlisted_is_hashed(copied: Path) -> None:
    gguf = copied / "models" / "Q4_K_M.gguf"
    gguf.unlink()
    again(copied)
    gguf.write_bytes(b"GGUF of another run")
    with pytest.raises(InputError, match=r"models/Q4_K_M\.json: the SHA-256 is"):
        verify(copied)
