"""edgeq report: tables and the page from records."""

from __future__ import annotations

from pathlib import Path

import click

from edgeq.cli._options import echo_json, json_option


@click.command("report")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--html", type=click.Path(path_type=Path), help="Write one self-contained page.")
@click.option("--md", is_flag=True, help="Print Markdown.")
@click.option("--csv", is_flag=True, help="Print CSV.")
@json_option
def command(runs: tuple[Path, ...], html: Path | None, md: bool, csv: bool, as_json: bool) -> None:
    """Print the table of one or more run folders again; needs the records only, no llama.cpp."""
    from rich.console import Console

    from edgeq import analyze, report, store
    from edgeq.run_folder import RunFolder

    loaded = [RunFolder(path).load() for path in runs]
    benches, evals, models = ([record for part in parts for record in part] for parts in zip(*loaded, strict=True))
    summary = analyze.summarize(benches, evals, models)
    if as_json:
        echo_json(summary)
    elif md:
        click.echo(report.markdown(summary))
    elif csv:
        click.echo(report.csv(summary), nl=False)
    else:
        Console().print(report.terminal(summary))
    if html:
        store.write_text(html, report.html(summary))
        click.echo(str(html))
