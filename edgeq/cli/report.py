"""edgeq report: tables and the page from records."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeq.cli._options import Number, echo_json, json_option, tariff_options

if TYPE_CHECKING:
    from edgeq.errors import InputError
    from edgeq.records import BenchRecord, MethodsTable, Trace


@click.command("report")
@click.argument("runs", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--trace",
    "recordings",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A recording of tegrastats, powermetrics or a meter (CSV): alone, or added to RUNS by their load bursts.",
)
@click.option(
    "--profile", default="local", help="Profile whose meter describes the columns of a CSV recording [local]."
)
@click.option("--interval", type=Number(0, min_open=True), help="Seconds between two lines of tegrastats.")
@click.option("--html", type=click.Path(path_type=Path), help="Write one self-contained page.")
@click.option("--plots", type=click.Path(path_type=Path), help="Write each plot into this folder, as SVG and as PNG.")
@click.option("--md", is_flag=True, help="Print Markdown.")
@click.option("--csv", is_flag=True, help="Print CSV.")
@click.option("--strict", is_flag=True, help="Exit with status 3 where a record is damaged and was left out.")
@tariff_options
@json_option
def command(
    runs: tuple[Path, ...],
    recordings: tuple[Path, ...],
    profile: str,
    interval: float | None,
    html: Path | None,
    plots: Path | None,
    md: bool,
    csv: bool,
    strict: bool,
    as_json: bool,
    **money: float | None,
) -> None:
    """Print the table of one or more run folders again; needs the records only, no llama.cpp.

    Of a folder that `edgeq methods` has made, the table of methods; with --csv, --plots or prices, its files as those
    of any run.
    """
    from rich.console import Console

    from edgeq import analyze, logs, profiles, report, store
    from edgeq.analyze.advice import of_summary
    from edgeq.cli import _tables
    from edgeq.cli._options import tariff
    from edgeq.errors import MissingError
    from edgeq.run_folder import RunFolder

    price = tariff(money)
    if not runs and not recordings:
        raise click.UsageError("Give RUNS, or --trace FILE.")
    if not runs and (html or plots or md or csv or price):
        raise click.UsageError(
            "A recording alone has no tokens: --html, --plots, --md, --csv and prices need RUNS beside --trace."
        )
    if plots and not report.can_draw():
        raise MissingError("Plots need vl-convert-python.", "`pip install vl-convert-python`, or use another machine.")
    meter = profiles.load(profile).meter
    traces = [trace for path in recordings for trace in logs.read(path, meter, interval)]
    if not runs:
        recorded = analyze.recording(traces)
        echo_json(recorded) if as_json else _tables.recordings(recorded)
        return
    if len(runs) == 1 and not (csv or plots or price or traces) and (table := RunFolder(runs[0]).table()):
        _methods(table, html, md, as_json)
        return
    damaged: list[InputError] = []
    loaded = [RunFolder(path).load(damaged.append) for path in runs]
    for error in damaged:
        click.echo(f"Left out: {error.text}", err=True)
    benches, evals, models = ([record for part in parts for record in part] for parts in zip(*loaded, strict=True))
    benches = [_with(bench, traces) for bench in benches]
    summary = analyze.summarize(benches, evals, models, price)
    if as_json:
        echo_json(summary)
    elif md:
        click.echo(report.markdown(summary))
    elif csv:
        click.echo(report.csv(summary), nl=False)
    else:
        Console().print(report.terminal(summary))
    if html:
        store.write_text(html, report.html(summary, benches, evals, of_summary(summary)))
        click.echo(str(html))
    if plots:
        _draw(report.plots(summary, benches, evals), store.make_folder(plots))
    if damaged and strict:
        raise damaged[0]


def _methods(table: MethodsTable, html: Path | None, md: bool, as_json: bool) -> None:
    from rich.console import Console

    from edgeq import report, store

    if as_json:
        echo_json(table)
    elif md:
        click.echo(report.methods_markdown(table))
    else:
        Console().print(report.methods_terminal(table))
    if html:
        store.write_text(html, report.methods_html(table))
        click.echo(str(html))


def _draw(specs: dict[str, dict[str, Any]], folder: Path) -> None:
    from edgeq import report, store

    for name, spec in specs.items():
        store.write_text(folder / f"{name}.svg", report.svg(spec))
        store.write_bytes(folder / f"{name}.png", report.png(spec))
    click.echo(f"{folder}: {len(specs)} plot{'' if len(specs) == 1 else 's'}")


def _with(bench: BenchRecord, traces: list[Trace]) -> BenchRecord:
    import msgspec

    return msgspec.structs.replace(bench, traces=(*bench.traces, *traces))
