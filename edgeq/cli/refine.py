"""edgeq refine: less damage in the same bytes."""

from __future__ import annotations

from pathlib import Path

import click

from edgeq.cli._options import echo_json, json_option, threads_option


@click.command("refine")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--source", required=True, type=click.Path(path_type=Path), help="The model that FILE was quantized from (GGUF)."
)
@click.option("--statistics", help="Second moments (`edgeq calibrate --second-moments`).")
@click.option("--calibration-text", multiple=True, help="Texts for second moments, three or more; the last validates.")
@click.option("--out", type=click.Path(path_type=Path), help="File [FILE-refined.gguf beside FILE].")
@threads_option
@json_option
def command(
    file: Path,
    source: Path,
    statistics: str | None,
    calibration_text: tuple[str, ...],
    out: Path | None,
    threads: int | None,
    as_json: bool,
) -> None:
    """Round the weights of FILE (GGUF, of any tool) better, into the same types and as many bytes.

    Beginning with the file's own codes and scales, those are changed that bring the outputs closer to the source's,
    over inputs that vary together as they do in the texts. A tensor stays as it is where that does not pay on a text
    of another kind. Without texts those that come with edgeq are taken. Interrupted, the same command carries on.
    """
    from rich.console import Console

    from edgeq import build, device, models, report
    from edgeq.cli._progress import step
    from edgeq.pipeline import refining
    from edgeq.refine import refine

    described, original = models.describe(file), models.describe(source)
    target = out or file.with_name(f"{file.stem}-refined.gguf")
    n_threads = threads or device.physical_cores()
    with step("build") as update:
        built = build.build(on_progress=lambda text, share: update(share, text))
    asked = refining.statistics(statistics, calibration_text)
    moments = refining.moments(original, asked, built, target.parent, n_threads, step)
    with step("refine") as update:
        made = refine(described, original, moments, built, target, n_threads=n_threads, on_progress=update)
    if as_json:
        echo_json(made)
        return
    Console().print(report.refined_terminal(made))
    click.echo(made.path)
