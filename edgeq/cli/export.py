"""edgeq export: what was measured, for other programs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from edgeq.records import Gguf, Summary

_FORMS = ("csv", "sqlite", "parquet", "llama-bench-sql", "llama-server", "ollama")
_OF_ONE = ("llama-server", "ollama")
_FILES = ("sqlite", "parquet")


@click.command("export")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--to", "form", required=True, type=click.Choice(_FORMS), help="What to write.")
@click.option(
    "--out", "-o", type=click.Path(path_type=Path), help="File to write, a folder for parquet [standard output]."
)
@click.option("--model", metavar="NAME", help="Name or file type of the one file, for llama-server and ollama.")
@click.option("--tokens", is_flag=True, help="sqlite, parquet: also a table of every decode step's time.")
def command(runs: tuple[Path, ...], form: str, out: Path | None, model: str | None, tokens: bool) -> None:
    """Give the figures of RUNS to other programs, or the settings of one measured file to those that serve it.

    \b
    csv              the report's columns, one line for each file on each device
    sqlite, parquet  tables: rows, speeds, energies, repetitions
    llama-bench-sql  as `llama-bench -o sql`, for llama.cpp's compare-llama-bench.py
    llama-server     a command line      ollama  a Modelfile
    """
    from edgeq import analyze, export, report, store
    from edgeq.run_folder import RunFolder

    _check(form, out, model, tokens)
    loaded = [RunFolder(path).load() for path in runs]
    benches, evals, models = ([record for part in parts for record in part] for parts in zip(*loaded, strict=True))
    summary = analyze.summarize(benches, evals, models)
    if out and form in _FILES:
        tables = export.tables(summary, benches, tokens=tokens)
        export.sqlite(tables, out) if form == "sqlite" else export.parquet(tables, out)
        click.echo(str(out))
        return
    if form == "csv":
        text = report.csv(summary)
    elif form == "llama-bench-sql":
        text = export.llama_bench_sql(benches)
    else:
        text = _of_one(form, summary, str(model), [*models, *(b.model for b in benches)], runs)
    if out:
        store.make_folder(out.parent)
        store.write_text(out, text)
        click.echo(str(out))
    else:
        click.echo(text, nl=False)


def _check(form: str, out: Path | None, model: str | None, tokens: bool) -> None:
    if form in _FILES and not out:
        raise click.UsageError(f"--to {form} needs --out.")
    if (form in _OF_ONE) != (model is not None):
        raise click.UsageError(
            f"--to {form} needs --model NAME." if form in _OF_ONE else "--model goes with llama-server and ollama."
        )
    if tokens and form not in _FILES:
        raise click.UsageError("--tokens goes with sqlite and parquet.")


def _of_one(form: str, summary: Summary, name: str, models: Sequence[Gguf], runs: Sequence[Path]) -> str:
    from edgeq import export

    row, settings = export.choose(summary, name)
    gguf = next(m for m in models if m.sha256 == row.sha256)
    path = _place(gguf, runs)
    if form == "ollama":
        return export.modelfile(summary, row, settings, gguf, path)
    return export.llama_server(summary, row, settings, path)


def _place(gguf: Gguf, runs: Sequence[Path]) -> Path:
    """Where the file is now, if it has moved with its run; else where it was when it was measured."""
    from edgeq.run_folder import RunFolder

    recorded = Path(gguf.path)
    here = (RunFolder(run).models / recorded.name for run in runs)
    found = next((p for p in here if p.is_file() and p.stat().st_size == gguf.n_bytes), recorded)
    return found.resolve() if found.exists() else found
