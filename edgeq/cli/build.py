"""edgeq build: compile llama.cpp and the native programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeq.cli._options import echo_json, json_option

if TYPE_CHECKING:
    from edgeq.records import Build


@click.command("build")
@click.option("--backend", help="cpu, blas, cuda, metal or vulkan [the profile's; cpu].")
@click.option("--profile", "profile_name", default="local", help="Device profile: a name or a YAML file [local].")
@click.option("--target", metavar="TRIPLE", help="Cross-compile for this machine: aarch64-linux-gnu [the profile's].")
@click.option(
    "--isa",
    help="Instruction sets of the CPU code: native, baseline (all processors of the kind), variants (several, chosen "
    "at run time), or one, as armv8.2-a+dotprod+fp16 or x86-64-v3 [the profile's; native, baseline for --target].",
)
@click.option("--server", is_flag=True, help="llama-server as well (about two minutes more).")
@click.option("--llama-cpp", type=click.Path(path_type=Path), help="Build from this checkout, not the pinned tree.")
@click.option("--force", is_flag=True, help="Compile again even if there is a finished build.")
@click.option("--list", "as_list", is_flag=True, help="List the finished builds.")
@click.option("--remove", metavar="KEY", help="Delete the build whose key begins like this.")
@json_option
def command(
    backend: str | None,
    profile_name: str,
    target: str | None,
    isa: str | None,
    server: bool,
    llama_cpp: Path | None,
    force: bool,
    as_list: bool,
    remove: str | None,
    as_json: bool,
) -> None:
    """Compile the pinned llama.cpp and edgeq's programs, once, into the user's cache, and try them out.

    For this machine, or for the board that a profile describes. What is missing is said before anything is compiled.
    Builds of several kinds live side by side. An interrupted build carries on where it was.
    """
    from edgeq import build, profiles
    from edgeq.cli._progress import step

    if remove:
        gone = build.remove(remove)
        click.echo(f"Removed {gone.key}.", err=True)
        return
    if as_list:
        builds = build.list_builds()
    else:
        profile = profiles.changed(profiles.load(profile_name), backend=backend, target=target, isa=isa)
        with step("build") as update:
            builds = [
                build.build(
                    profile,
                    server=server,
                    llama_cpp=llama_cpp,
                    force=force,
                    on_progress=lambda text, share: update(share, text),
                )
            ]
    if as_json:
        echo_json(builds)
        return
    for b in builds:
        click.echo(f"{b.key}  {b.backend}  {b.target}  {b.isa}  llama.cpp {b.llama_commit[:9]}")
        click.echo(f"    {_tried(b)}\n    {b.folder}")


def _tried(b: Build) -> str:
    if b.self_test is None:
        return "from before there was a self-test"
    if b.self_test.skipped:
        return f"not tried out: {b.self_test.skipped}"
    under = f", under {b.self_test.emulator.partition(' ')[0]}" if b.self_test.emulator else ""
    return f"quantizes and decodes right on {'; '.join(b.self_test.devices)}{under}"
