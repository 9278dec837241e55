"""Figures for other programs: what they read is what was measured, in their own form."""

from __future__ import annotations

import ast
import csv
import io
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import click
import msgspec
import pyarrow.parquet
import pytest
from click.testing import CliRunner

from edgeq import analyze, export, report, store
from edgeq.cli import cli
from edgeq.errors import InputError, MissingError
from edgeq.export.llama_bench import FIELDS, file_type
from edgeq.records import BenchRecord, BenchTest, Build, EvalRecord, Gguf, Summary
from edgeq.run_folder import RunFolder

from .conftest import MODEL
from .test_run import edgeq
from .test_verify import small_run

Loaded = tuple[list[BenchRecord], list[EvalRecord], list[Gguf]]
replace = msgspec.structs.replace


@pytest.fixture(scope="module")
def run(built: Build, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_run(tmp_path_factory)


@pytest.fixture(scope="module")
def loaded(run: Path) -> Loaded:
    return RunFolder(run).load()


@pytest.fixture(scope="module")
def summary(loaded: Loaded) -> Summary:
    return analyze.summarize(*loaded)


def call(*argv: object) -> str:
    """Standard output of a command that succeeds, run in this process: its imports are there already."""
    done = CliRunner().invoke(cli, [str(a) for a in argv], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_csv_is_the_reports(run: Path, summary: Summary) -> None:
    done = edgeq("export", run, "--to", "csv")
    assert done.stdout == report.csv(summary), done.stderr
    assert len(list(csv.DictReader(io.StringIO(done.stdout)))) == 3


def test_sqlite_holds_every_row_and_repetition(run: Path, loaded: Loaded, summary: Summary, tmp_path: Path) -> None:
    out = tmp_path / "new" / "run.sqlite"
    assert call("export", run, "--to", "sqlite", "--out", out, "--tokens").strip() == str(out)
    assert [p.name for p in out.parent.iterdir()] == ["run.sqlite"]
    with sqlite3.connect(out) as db:
        names = [name for (name,) in db.execute("SELECT name FROM sqlite_master ORDER BY rowid")]
        assert names == ["rows", "speeds", "energies", "repetitions", "tokens"]
        rows = db.execute("SELECT sha256, bpw, kld_nats, kld_se_nats, reference FROM rows").fetchall()
        for row, (sha256, bpw, kld, se, reference) in zip(summary.rows, rows, strict=True):
            assert (sha256, bpw, bool(reference)) == (row.sha256, row.bpw, row.reference)
            assert row.quality and (kld, se) == (
                (row.quality.kld.value, row.quality.kld.se) if row.quality.kld else (None, None)
            )
        again = db.execute(
            "SELECT sha256, test, SUM(n_tokens) / SUM(seconds) FROM repetitions AS r WHERE turn = "
            "(SELECT MAX(turn) FROM repetitions WHERE sha256 = r.sha256) GROUP BY 1, 2 ORDER BY 1, 2"
        ).fetchall()
        rates = db.execute("SELECT sha256, test, rate_tps FROM speeds ORDER BY 1, 2").fetchall()
        assert [r[:2] for r in again] == [r[:2] for r in rates]
        assert [r[2] for r in again] == pytest.approx([r[2] for r in rates])
        n_steps = sum(len(p.token_ns or ()) for b in loaded[0] for p in b.phases if p.timed)
        assert db.execute("SELECT COUNT(*) FROM tokens").fetchone() == (n_steps,) != (0,)
        (least,) = db.execute("SELECT MIN(seconds) FROM tokens").fetchone()
        assert least > 0


def test_every_table_has_a_value_for_every_column(summary: Summary, loaded: Loaded) -> None:
    for table in export.tables(summary, loaded[0], tokens=True):
        for row in table.rows:
            for value, (name, kind) in zip(row, table.columns.items(), strict=True):
                assert value is None or isinstance(value, kind) or kind is float, (table.name, name)


def test_parquet_has_the_same_tables(summary: Summary, loaded: Loaded, tmp_path: Path) -> None:
    tables = export.tables(summary, loaded[0])
    for _ in range(2):  # what is there is replaced
        paths = export.parquet(tables, tmp_path / "out")
    assert [p.name for p in paths] == ["rows.parquet", "speeds.parquet", "energies.parquet", "repetitions.parquet"]
    for table, path in zip(tables, paths, strict=True):
        found = pyarrow.parquet.read_table(path)
        assert found.column_names == list(table.columns)
        assert [tuple(r.values()) for r in found.to_pylist()] == list(table.rows)


def test_parquet_without_pyarrow_says_how_to_get_it(
    summary: Summary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingError, match="pyarrow") as e:
        export.parquet(export.tables(summary, []), tmp_path / "out")
    assert "edgeq[parquet]" in e.value.hint and e.value.exit_code == 4
    assert not list(tmp_path.iterdir())


def columns(sql: str) -> tuple[list[tuple[str, str]], list[dict[str, object]]]:
    """(names and types of llama_bench's columns, its rows) after SQLite has read the text."""
    db = sqlite3.connect(":memory:")
    db.row_factory = sqlite3.Row
    db.executescript(sql)
    found = [(r["name"], r["type"]) for r in db.execute("PRAGMA table_info(llama_bench)")]
    return found, [dict(r) for r in db.execute("SELECT * FROM llama_bench")]


def test_llama_bench_sql_is_what_llama_bench_prints(built: Build, run: Path, loaded: Loaded) -> None:
    argv = [built.tool("llama-bench"), "-m", str(MODEL), "-p", "32", "-n", "8", "-r", "2", "-t", "2", "-ngl", "0"]
    theirs = subprocess.run([*argv, "-o", "sql"], capture_output=True, text=True, check=True).stdout
    ours = call("export", run, "--to", "llama-bench-sql")
    assert ours.partition("INSERT")[0] == theirs.partition("INSERT")[0]
    assert ours.partition("VALUES")[0] == theirs.partition("VALUES")[0]
    (their_columns, their_rows), (our_columns, our_rows) = columns(theirs), columns(ours)
    assert our_columns == their_columns
    measured = {"test_time", "avg_ns", "stddev_ns", "avg_ts", "stddev_ts"}
    of_source = [r for r in our_rows if r["model_filename"] == str(MODEL)]
    for wanted, found in zip(their_rows * 2, of_source, strict=True):  # the second time as the anchor
        assert {k: v for k, v in found.items() if k not in measured} == {
            k: v for k, v in wanted.items() if k not in measured
        }
    bench = next(b for b in loaded[0] if b.model.file_type == "IQ2_XXS")
    made = [r for r in our_rows if str(r["model_type"]).endswith("IQ2_XXS - 2.0625 bpw")]
    for speed, row in zip(analyze.speeds(bench), made, strict=True):
        assert speed.test == (f"pp{row['n_prompt']}" if row["n_prompt"] else f"tg{row['n_gen']}")
        times = [p.t1_ns - p.t0_ns for p in bench.phases if p.timed and p.test == speed.test]
        assert row["avg_ns"] == sum(times) // 2 and row["stddev_ns"] == pytest.approx(
            abs(times[0] - times[1]) / 2**0.5, abs=1
        )


def test_llama_bench_sql_has_what_their_script_compares(built: Build, loaded: Loaded) -> None:
    scripts = sorted((store.cache_dir() / "sources").glob("*/vendor/llama.cpp/scripts/compare-llama-bench.py"))
    if not scripts:
        pytest.skip("the source tree is not in the cache")
    needed = {
        name
        for node in ast.parse(scripts[-1].read_text()).body
        if isinstance(node, ast.Assign)
        and getattr(node.targets[0], "id", "") in ("LLAMA_BENCH_DB_FIELDS", "LLAMA_BENCH_KEY_PROPERTIES")
        for name in ast.literal_eval(node.value)
    }
    assert needed and needed <= set(FIELDS)
    quoted = replace(loaded[0][0], model=replace(loaded[0][0].model, path="it's; DROP TABLE llama_bench.gguf"))
    _, rows = columns(export.llama_bench_sql([quoted, quoted]))
    assert [r["model_filename"] for r in rows] == [quoted.model.path] * 4


def test_file_types_are_spelled_as_in_llama_cpp(built: Build) -> None:
    loaders = sorted((store.cache_dir() / "sources").glob("*/vendor/llama.cpp/src/llama-model-loader.cpp"))
    if not loaders:
        pytest.skip("the source tree is not in the cache")
    cases = re.findall(
        r'case LLAMA_FTYPE_(?:MOSTLY|ALL)_(\w+): *name = LLAMA_FTYPE_PREFIX "(.*)";', loaders[-1].read_text()
    )
    assert len(cases) > 30
    assert {name: file_type(name) for name, _ in cases} == dict(cases)


def test_llama_server_gets_the_measured_settings(run: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(run, tmp_path / "my runs"))
    *head, command = call("export", moved, "--to", "llama-server", "--model", "iq2_xxs").splitlines()
    assert all(line.startswith("# ") for line in head) and "32 tokens" in head[1] and "pp32" in head[1]
    argv = shlex.split(command)
    options = dict(zip(argv[1::2], argv[2::2], strict=True))
    assert options["--model"] == str(moved / "models" / "IQ2_XXS.gguf")
    wanted = {
        "--ctx-size": "32",
        "--threads": "2",
        "--batch-size": "2048",
        "--n-gpu-layers": "0",
        "--flash-attn": "auto",
    }
    assert wanted.items() <= options.items() and options["--cache-type-k"] == options["--cache-type-v"] == "f16"


def test_ollama_gets_a_modelfile(run: Path, summary: Summary, loaded: Loaded, tmp_path: Path) -> None:
    out = tmp_path / "Modelfile"
    call("export", run, "--to", "ollama", "--model", "IQ2_XXS", "--out", out)
    lines = [line for line in out.read_text().splitlines() if not line.startswith("#")]
    model = (run / "models" / "IQ2_XXS.gguf").resolve()
    assert lines == [f"FROM {model}", "PARAMETER num_ctx 32", "PARAMETER num_thread 2", "PARAMETER num_gpu 0"]
    row, settings = export.choose(summary, "IQ2_XXS")
    offloaded = replace(settings, n_gpu_layers=-1, tests=(BenchTest(512, 0), BenchTest(0, 128, 4096)))
    text = export.modelfile(summary, row, offloaded, loaded[2][0], Path("/a b/x.gguf"))
    assert 'FROM "/a b/x.gguf"\nPARAMETER num_ctx 4224\n' in text and "num_gpu 7" in text
    with pytest.raises(InputError, match="Modelfile"):
        export.modelfile(summary, row, settings, loaded[2][0], Path('/a"\nSYSTEM x.gguf'))


def test_which_file_is_meant(summary: Summary) -> None:
    with pytest.raises(InputError, match="No measured file") as e:
        export.choose(summary, "IQ2_XS")
    assert "IQ2_XXS" in e.value.hint
    other = replace(summary.rows[-1], name="mine", sha256="0")
    two = replace(summary, rows=(*summary.rows, other))
    with pytest.raises(InputError, match=r"2 of the measured files: .*mine"):
        export.choose(two, "iq2_xxs")
    assert export.choose(two, "mine")[0] == other
    with pytest.raises(InputError, match="was not benched"):
        export.choose(replace(summary, rows=(replace(other, settings=None),)), "mine")


def test_options_that_do_not_go_together(run: Path, tmp_path: Path) -> None:
    for argv, said in (
        (["sqlite"], "needs --out"),
        (["ollama"], "needs --model"),
        (["csv", "--model", "x"], "--model goes with"),
        (["csv", "--tokens"], "--tokens goes with"),
    ):
        with pytest.raises(click.UsageError, match=said):
            CliRunner().invoke(cli, ["export", str(run), "--to", *argv], standalone_mode=False, catch_exceptions=False)
    with pytest.raises(InputError, match="no run folder"):
        call("export", tmp_path / "none", "--to", "csv")
    (tmp_path / "file").write_text("x")
    for form in ("sqlite", "parquet", "csv"):
        with pytest.raises(MissingError, match="can't be written"):
            call("export", run, "--to", form, "--out", tmp_path / "file" / "x.db")
