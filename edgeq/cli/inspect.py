"""edgeq inspect: what is really in a GGUF file."""

from __future__ import annotations

from pathlib import Path

import click

from edgeq.cli._options import echo_json, json_option


@click.command("inspect")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@json_option
def command(files: tuple[Path, ...], as_json: bool) -> None:
    """Check the headers of FILES (GGUF) and say what is in them: types by share, effective bpw, on-label share."""
    from edgeq import models
    from edgeq.cli import _tables

    records = [models.describe(path) for path in files]
    if as_json:
        echo_json(records)
    else:
        _tables.files(records)
