"""Reports of folders: old records are read, damaged ones named and left out, threads told apart."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from edgeq import analyze, report, store
from edgeq.analyze.advice import of_summary
from edgeq.cli import cli
from edgeq.errors import MissingError
from edgeq.records import BenchRecord, EvalRecord

from .test_run import edgeq

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A folder of records that an older version wrote, without a manifest."""
    folder = tmp_path / "run"
    (folder / "records").mkdir(parents=True)
    (folder / "models").mkdir()
    shutil.copy(GOLDEN / "schema-2/BenchRecord.json.gz", folder / "records/bench-a.json.gz")
    shutil.copy(GOLDEN / "schema-2/EvalRecord.json.gz", folder / "records/eval-a.json.gz")
    return folder


def test_a_damaged_record_is_named_and_left_out(run: Path) -> None:
    whole = edgeq("report", run, "--strict")
    assert whole.returncode == 0 and not whole.stderr, whole.stderr
    broken = run / "records/bench-b.json.gz"
    broken.write_bytes((run / "records/bench-a.json.gz").read_bytes()[:200])
    for options, status in (((), 0), (("--strict",), 3)):
        done = edgeq("report", run, *options)
        assert (done.returncode, done.stdout) == (status, whole.stdout), done.stderr
        assert f"Left out: {broken}" in done.stderr


def test_a_record_of_a_newer_version_says_so(run: Path) -> None:
    newer = run / "records/bench-b.json"
    newer.write_text('{"schema": 99, "kind": "BenchRecord", "key": "k", "record": {}}')
    done = edgeq("report", run, "--strict")
    assert done.returncode == 3 and "newer edgeq (schema 99)" in done.stderr


def test_numbers_of_threads_are_told_apart() -> None:
    bench = store.load(GOLDEN / "schema-2/BenchRecord.json.gz", BenchRecord)
    bench, other = (
        msgspec.structs.replace(bench, settings=msgspec.structs.replace(bench.settings, n_threads=n)) for n in (2, 7)
    )
    one, two = analyze.summarize([bench], []), analyze.summarize([bench, other], [])
    assert [r.settings.n_threads for r in two.rows if r.settings] == [2, 7]
    assert "Threads" not in report.markdown(one)
    assert "Threads" in report.markdown(two)
    assert {"2 threads", "7 threads"} <= {label.split(", ")[1] for label in report.rows.labels(list(two.rows)).values()}


def test_without_the_plotting_library_the_tables_remain(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeq.report.drawing.find_spec", lambda name: None)
    bench = store.load(run / "records/bench-a.json.gz", BenchRecord)
    page = report.html(analyze.summarize([bench], []), [bench])
    assert "vl-convert-python" in page and "<table" in page
    assert "vegaEmbed = " not in page
    done = CliRunner().invoke(cli, ["report", str(run), "--plots", str(run / "plots")])
    assert isinstance(done.exception, MissingError) and not (run / "plots").exists()


def test_the_page_recommends_what_the_command_does() -> None:
    bench = store.load(GOLDEN / "schema-2/BenchRecord.json.gz", BenchRecord)
    scored = store.load(GOLDEN / "schema-2/EvalRecord.json.gz", EvalRecord)
    summary = analyze.summarize([bench], [msgspec.structs.replace(scored, model=bench.model)])
    said = of_summary(summary)
    assert said and said.answers[0].pick
    page = report.html(summary, [bench], [scored], said)
    assert '<section id="recommendation">' in page
    assert f"ship {said.answers[0].pick.label}" in page
    assert '<section id="recommendation">' not in report.html(summary)
