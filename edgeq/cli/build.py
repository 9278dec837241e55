"""edgeq build: compile llama.cpp and the native programs."""

from __future__ import annotations

from pathlib import Path

import click

from edgeq.cli._options import echo_json, json_option


@click.command("build")
@click.option("--backend", default="cpu", help="Backend [cpu].")
@click.option("--llama-cpp", type=click.Path(path_type=Path), help="Build from this checkout, not the pinned tree.")
@click.option("--force", is_flag=True, help="Compile again even if there is a finished build.")
@click.option("--list", "as_list", is_flag=True, help="List the finished builds.")
@json_option
def command(backend: str, llama_cpp: Path | None, force: bool, as_list: bool, as_json: bool) -> None:
    """Compile the pinned llama.cpp and edgeq's programs for this machine, once, into the user's cache."""
    from edgeq import build
    from edgeq.cli._progress import step

    if as_list:
        builds = build.list_builds()
    else:
        with step("build") as update:
            builds = [
                build.build(
                    backend,
                    llama_cpp=llama_cpp,
                    force=force,
                    on_progress=lambda text, share: update(share, text),
                )
            ]
    if as_json:
        echo_json(builds)
        return
    for b in builds:
        click.echo(f"{b.key}  {b.backend}  {b.target}  llama.cpp {b.llama_commit[:9]}  {b.folder}")
