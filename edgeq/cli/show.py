"""edgeq show: what is in one file."""

from __future__ import annotations

from pathlib import Path

import click

from edgeq.cli._options import echo_json, json_option


@click.command("show")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--tensors", is_flag=True, help="Of a model: one line per tensor as well.")
@json_option
def command(file: Path, tensors: bool, as_json: bool) -> None:
    """Say what FILE holds: a GGUF model, an importance matrix, or any record that edgeq has written."""
    from edgeq.show import lines, show

    page = show(file, tensors=tensors)
    if as_json:
        echo_json(page.data)
    else:
        click.echo("\n".join(lines(page)))
