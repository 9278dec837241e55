"""edgeq bench: speed and memory."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from edgeq.cli._options import Names, echo_json, json_option, threads_option


@click.command("bench")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--tests", type=Names(), default="pp512,tg128", help="Tests [pp512,tg128]; depth as tg128@d4096.")
@click.option("--reps", type=click.IntRange(1), default=5, help="Timed repetitions of each test [5].")
@threads_option
@click.option("--profile", default="local", help="Device profile: a name from the shelf or a YAML file [local].")
@click.option("--out", type=click.Path(path_type=Path), default=Path("records"), help="Folder for records [records].")
@json_option
def command(
    files: tuple[Path, ...],
    tests: tuple[str, ...],
    reps: int,
    threads: int | None,
    profile: str,
    out: Path,
    as_json: bool,
) -> None:
    """Measure prefill and decode speed, latency and peak memory of FILES (GGUF) on this machine."""
    from rich.console import Console

    from edgeq import analyze, bench, build, models, plugins, report
    from edgeq.cli._progress import step
    from edgeq.records import Profile

    described = [models.describe(path) for path in files]
    device = plugins.settings("profiles", profile, Profile)
    settings = bench.settings(device, tests, n_reps=reps, n_threads=threads or 0)
    with step("build") as update:
        built = build.build(device.backend, on_progress=lambda text, share: update(share, text))
    records = []
    for model in described:
        with step("bench") as update:
            records.append(
                bench.bench(
                    model, built, device, settings, out, on_progress=partial(update, text=Path(model.path).stem)
                )
            )
    summary = analyze.summarize(records, [])
    if as_json:
        echo_json(summary)
    else:
        Console().print(report.terminal(summary))
