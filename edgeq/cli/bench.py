"""edgeq bench: speed, memory and energy."""

from __future__ import annotations

from pathlib import Path

import click
from click.core import ParameterSource

from edgeq.cli._options import Names, Number, echo_json, json_option, tariff_options, threads_option


@click.command("bench")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--tests", type=Names(), default="pp512,tg128", help="Tests [pp512,tg128]; depth as tg128@d4096.")
@click.option("--reps", type=click.IntRange(1), default=10, help="Timed repetitions of each test [10].")
@click.option(
    "--min-window",
    type=Number(0),
    help="Repeat each test until it has lasted this many seconds [what the slowest power sensor needs, up to 180].",
)
@click.option(
    "--interleave",
    type=click.IntRange(1),
    metavar="N",
    help="Measure two FILES in turns, A B B A, N times, and give the ratio of their figures.",
)
@click.option(
    "--sync",
    is_flag=True,
    help="Load bursts before and after, by which the recording of a meter is aligned later (report --trace).",
)
@threads_option
@click.option("--profile", default="local", help="Device profile: a name from the shelf or a YAML file [local].")
@click.option("--out", type=click.Path(path_type=Path), default=Path("records"), help="Folder for records [records].")
@click.option(
    "--replay",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="RECORD",
    help="Measure nothing: show a record that a bench has written; repeatable.",
)
@click.option(
    "--types",
    "types_of",
    metavar="PROFILE",
    help="Instead of FILES: measure what decoding costs per weight of each type on this machine, as PROFILE uses it.",
)
@tariff_options
@json_option
def command(
    files: tuple[Path, ...],
    tests: tuple[str, ...],
    reps: int,
    min_window: float | None,
    interleave: int | None,
    sync: bool,
    threads: int | None,
    profile: str,
    out: Path,
    replay: tuple[Path, ...],
    types_of: str | None,
    as_json: bool,
    **money: float | None,
) -> None:
    """Measure speed, latency, memory and energy per token of FILES (GGUF) on this machine.

    Every sensor that answers is read meanwhile; `edgeq doctor` shows which do. Where one gives power, the machine is
    also measured at rest, before and after.
    """
    from rich.console import Console

    from edgeq import analyze, bench, build, instruments, models, profiles, report, store
    from edgeq.access import Access
    from edgeq.cli._options import tariff
    from edgeq.cli._progress import step
    from edgeq.records import BenchRecord

    if types_of is not None:
        _refuse_beside_types()
        _measure_types(types_of, reps, min_window, sync, threads, out, as_json)
        return
    price = tariff(money)
    if bool(files) == bool(replay):
        raise click.UsageError("Give FILES to measure, or --replay RECORD to show what was measured.")
    if interleave and len(files) != 2:
        raise click.UsageError("--interleave compares two FILES.")
    if replay:
        records = [store.load(path, BenchRecord) for path in replay]
    else:
        described = [models.describe(path) for path in files]
        device = profiles.load(profile)
        build.refuse_elsewhere(device, Access(profile=device))
        bench.settings(device, tests, n_reps=reps, n_threads=threads or 0)  # refused before the long work
        with step("build") as update:
            built = build.build(device, on_progress=lambda text, share: update(share, text))
        access = Access(profile=device)
        with instruments.opened(access) as found, step("bench") as update:
            asked = bench.settings(
                device, tests, n_reps=reps, n_threads=threads or 0, found=found, min_window_s=min_window, sync=sync
            )
            one = bench.Bench(built, access, found, asked, out, min_window, bool(interleave))
            told = [m for m in described if one.done(m)]
            if interleave:
                records = bench.interleave(
                    one, described[0], described[1], interleave, bench.updates(update, 4 * interleave)
                )
            else:
                records = bench.series(one, described, bench.updates(update, bench.n_measurements(len(described))))
        for model in told:
            path = one.path(model)[0]
            click.echo(f"{Path(model.path).name} was measured before; to measure again, delete {path}.", err=True)
        click.echo(f"The records are in {out}.", err=True)
    summary = analyze.summarize(records, [], tariff=price)
    if as_json:
        echo_json(summary)
    else:
        Console().print(report.terminal(summary))


_TAKEN = {"types_of", "reps", "min_window", "sync", "threads", "out", "as_json"}


def _refuse_beside_types() -> None:
    context = click.get_current_context()
    for parameter in context.command.params:
        name = parameter.name or ""
        if name not in _TAKEN and context.get_parameter_source(name) == ParameterSource.COMMANDLINE:
            shown = parameter.opts[0] if isinstance(parameter, click.Option) else parameter.make_metavar(context)
            raise click.UsageError(f"--types measures weight types without any file, and takes no {shown}.")


def _measure_types(
    name: str, reps: int, min_window: float | None, sync: bool, threads: int | None, out: Path, as_json: bool
) -> None:
    from rich.console import Console

    from edgeq import analyze, bench, build, instruments, profiles, report
    from edgeq.access import Access
    from edgeq.cli._progress import step

    device = profiles.load(name)
    access = Access(profile=device)
    build.refuse_elsewhere(device, access)
    bench.types_settings(device, n_reps=reps, n_threads=threads or 0)  # refused before the long work
    with step("build") as update:
        built = build.build(device, on_progress=lambda text, share: update(share, text))
    with instruments.opened(access) as found, step("types") as update:
        asked = bench.types_settings(
            device, n_reps=reps, n_threads=threads or 0, found=found, min_window_s=min_window, sync=sync
        )
        one = bench.TypesBench(built, access, found, asked, out, min_window)
        told = one.done() is not None
        record = one.measure(lambda share, text: update(share, "", text))
    if told:
        click.echo(f"This was measured before; to measure again, delete {one.path}.", err=True)
    click.echo(f"The record is {one.path}.", err=True)
    speeds = analyze.type_speeds(record)
    if as_json:
        echo_json(speeds)
    else:
        Console().print(report.types_terminal(speeds))
