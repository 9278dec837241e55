"""The main job as a user runs it, and what is left when it is killed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from edgeq import store
from edgeq.records import SCHEMA, Build, EvalRecord, Summary
from edgeq.run_folder import RunFolder

from .conftest import CALIBRATION, EVALUATION, HERE, MODEL

EDGEQ = [sys.executable, "-c", "from edgeq.cli import main; main()"]
QUICK = ["--tests", "pp32,tg8", "--reps", "2", "--chunks", "2", "--calibration-chunks", "2"]
FAST = ["--profile", str(HERE / "profile.yaml"), *QUICK]
TEXTS = ["--text", str(EVALUATION), "--calibration-text", str(CALIBRATION)]
JOB = ["run", str(MODEL), "--types", "Q4_K_M,IQ2_XXS,q8_0", *TEXTS, *FAST]


def edgeq(*argv: object, **kwargs: object) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    return subprocess.run([*EDGEQ, *map(str, argv)], capture_output=True, text=True, timeout=600, **kwargs)  # type: ignore[call-overload,no-any-return]


@pytest.fixture(scope="module")
def finished(built: Build, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A finished run: its folder and what it printed."""
    out = tmp_path_factory.mktemp("run") / "out"
    done = edgeq(*JOB, "--out", out)
    assert done.returncode == 0, done.stderr
    return out, done.stdout


def results(out: Path) -> dict[str, object]:
    """What must not depend on interruptions: the files' hashes and all quality values."""
    evals = [store.load(p, EvalRecord) for p in sorted((out / "records").glob("eval-*"))]
    files = {p.name: store.sha256_file(p) for p in sorted((out / "models").glob("*.gguf"))}
    return {**files, **{Path(e.model.path).name + " eval": (e.nll_f32, e.kld_f32, e.same_top_u8) for e in evals}}


def test_the_last_line_is_the_page(finished: tuple[Path, str]) -> None:
    out, printed = finished
    page = Path(printed.splitlines()[-1])
    assert page == out / "report.html"
    text = page.read_text()
    for name in ("Q4_K_M", "IQ2_XXS", "Q8_0", "F16"):
        assert name in printed
        assert name in text


def test_every_row_is_fully_measured(finished: tuple[Path, str]) -> None:
    out, _ = finished
    summary = store.load(out / "summary.json", Summary)
    assert [r.file_type for r in summary.rows] == ["F16", "Q8_0", "Q4_K_M", "IQ2_XXS"]
    for row in summary.rows:
        assert row.quality and row.load_s and row.rss_peak_bytes
        assert [s.test for s in row.speeds] == ["pp32", "tg8"]
        assert all(s.tps.value > 0 and s.n_reps == 2 for s in row.speeds)
        assert row.rss_peak_bytes > row.n_bytes * 0.5
        if not row.reference:
            assert row.quality.kld and row.quality.kld.value > 0
    kld = [r.quality.kld.value for r in summary.rows if r.quality and r.quality.kld]
    assert kld == sorted(kld)


def test_the_manifest_lists_every_file_with_its_hash(finished: tuple[Path, str]) -> None:
    out, _ = finished
    manifest = json.loads((out / "manifest.json").read_text())["sha256"]
    files = {
        str(p.relative_to(out)) for p in out.rglob("*") if p.is_file() and p.name not in ("manifest.json", ".lock")
    }
    assert set(manifest) == files
    for name, sha256 in manifest.items():
        assert store.sha256_file(out / name) == sha256


def test_the_same_command_again_does_nothing_again(finished: tuple[Path, str]) -> None:
    out, printed = finished
    before = {p: p.stat().st_mtime_ns for d in ("models", "records") for p in (out / d).iterdir()}
    again = edgeq(*JOB, "--out", out)
    assert again.returncode == 0, again.stderr
    assert again.stdout == printed
    assert {p: p.stat().st_mtime_ns for d in ("models", "records") for p in (out / d).iterdir()} == before


def test_a_run_folder_can_be_moved_and_reported_elsewhere(finished: tuple[Path, str], tmp_path: Path) -> None:
    out, printed = finished
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("models", "records", "manifest.json", "summary.json", "run.json"):
        subprocess.run(["cp", "-r", out / name, moved / name], check=True)
    for model in (moved / "models").glob("*.gguf"):
        model.unlink()
    table = edgeq("report", moved)
    assert table.returncode == 0, table.stderr
    assert table.stdout.splitlines() == printed.splitlines()[:-1]
    as_json = edgeq("report", moved, "--json")
    assert msgspec.json.decode(as_json.stdout, type=Summary) == store.load(out / "summary.json", Summary)


def test_kill_9_at_any_moment_then_the_same_command(finished: tuple[Path, str], tmp_path: Path) -> None:
    out = tmp_path / "killed"
    dice = random.Random(1)
    kept: dict[Path, int] = {}
    for _ in range(8):
        process = subprocess.Popen(
            [*EDGEQ, *JOB, "--out", str(out)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(dice.uniform(0.3, 3.0))
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        done = [p for d in ("models", "records") for p in (out / d).glob("[!.]*.json*") if (out / d).exists()]
        for path in done:  # whole, and made once
            assert kept.setdefault(path, path.stat().st_mtime_ns) == path.stat().st_mtime_ns
            assert json_of(path)["schema"] == SCHEMA
    last = edgeq(*JOB, "--out", out)
    assert last.returncode == 0, last.stderr
    assert all(path.stat().st_mtime_ns == t for path, t in kept.items())
    assert results(out) == results(finished[0])
    assert not list(out.rglob("*.partial"))
    assert RunFolder(out).load()


def json_of(path: Path) -> dict[str, object]:
    import gzip

    data = path.read_bytes()
    loaded: dict[str, object] = json.loads(gzip.decompress(data) if path.suffix == ".gz" else data)
    return loaded


def test_ctrl_c_is_130_and_carries_on(built: Build, tmp_path: Path) -> None:
    out = tmp_path / "out"
    # Started by a shell in the background, the tests themselves may ignore the signal, and children inherit that.
    process = subprocess.Popen(
        [*EDGEQ, *JOB, "--out", str(out)],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 60
    while not (out / "models").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "carries on" in err
    assert "Traceback" not in err


def test_a_small_model_with_odd_rows_says_what_is_in_its_files(built: Build, smollm2: Path, tmp_path: Path) -> None:
    done = edgeq(
        "run", smollm2, "--allow-requantize", "--types", "Q2_K,IQ4_XS", *TEXTS, *FAST, "--out", tmp_path / "out"
    )
    assert done.returncode == 0, done.stderr
    summary = store.load(tmp_path / "out" / "summary.json", Summary)
    assert "requantized" in {n.code for n in summary.warnings}
    q2 = next(r for r in summary.rows if r.file_type == "Q2_K")
    assert q2.on_label == 0.0
    assert q2.bpw == pytest.approx(5.25, abs=0.01)
    (note,) = q2.notes
    assert "none of its weights" in note.text and "Q4_0" in note.text
    assert " ".join(note.text.split())[:40] in " ".join(done.stdout.split())
