"""edgeq verify: whether a folder is still what its manifest says."""

from __future__ import annotations

from pathlib import Path

import click

from edgeq.cli._options import echo_json, json_option


@click.command("verify")
@click.argument("folder", type=click.Path(path_type=Path))
@json_option
def command(folder: Path, as_json: bool) -> None:
    """Hash everything in FOLDER (a bundle or a finished run) again and compare it with the manifest.

    The records of a run are compared with each other as well: one plan, one machine, one llama.cpp, one source.
    Exit status 3 and the first file that is missing, different or contradicts another, else 0.
    """
    from edgeq.cli._progress import step
    from edgeq.verify import verify

    with step("verify") as update:
        n = verify(folder, lambda share, name: update(share, None, name))
    if as_json:
        echo_json({"folder": str(folder), "n_files": n})
        return
    click.echo(f"{folder}: all {n} files are as they were made.")
