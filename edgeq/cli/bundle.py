"""edgeq bundle: a folder that runs on a board without a compiler."""

from __future__ import annotations

from pathlib import Path

import click

from edgeq.cli._options import Names, echo_json, json_option, threads_option


@click.command("bundle")
@click.argument("models", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--profile", "profile_name", required=True, help="Device profile: a name or a YAML file.")
@click.option("--out", "-o", type=click.Path(path_type=Path), default=Path("bundle"), help="Folder to make [bundle].")
@click.option("--ctx", "n_ctx", type=click.IntRange(16), default=4096, help="Context that run.sh asks for [4096].")
@click.option("--tests", type=Names(), default="pp512,tg128", help="Tests of bench.sh [pp512,tg128].")
@click.option("--reps", type=click.IntRange(1), default=10, help="Repetitions of each test in bench.sh [10].")
@threads_option
@json_option
def command(
    models: tuple[Path, ...],
    profile_name: str,
    out: Path,
    n_ctx: int,
    tests: tuple[str, ...],
    reps: int,
    threads: int | None,
    as_json: bool,
) -> None:
    """Put MODELS (GGUF) and the programs for a board into one folder, and into OUT.tar.zst.

    The programs are cross-compiled where the board is another machine. On the board, ./run.sh serves a model and
    ./bench.sh measures all of them; nothing has to be installed there.
    """
    from edgeq import bench, build, profiles
    from edgeq.bundle import bundle
    from edgeq.cli._progress import step
    from edgeq.models import describe

    profile = profiles.load(profile_name)
    if not (threads or profile.n_threads):
        raise click.UsageError(f"{profile.name} does not say how many threads to use: --threads.")
    described = [describe(path) for path in models]
    settings = bench.settings(profile, tests, n_reps=reps, n_threads=threads or 0)
    with step("build") as update:
        built = build.build(profile, server=True, on_progress=lambda text, share: update(share, text))
    with step("bundle") as update:
        made = bundle(profile, described, built, settings, out, n_ctx=n_ctx, on_progress=update)
    if as_json:
        echo_json(made)
        return
    tried = built.self_test
    if tried and tried.skipped:
        click.echo(f"The programs were not tried out here: {tried.skipped}.", err=True)
    what = "one model" if len(described) == 1 else f"{len(described)} models"
    click.echo(f"{out}: {what} for {built.target}; the board needs glibc {made.glibc} or newer.")
    click.echo(f"Copy {out} or {out}.tar.zst to the board and run ./run.sh or ./bench.sh there.")
