"""edgeq calibrate: an importance matrix from a text."""

from __future__ import annotations

from pathlib import Path

import click

from edgeq.cli._options import echo_json, json_option, model_argument, text_option, threads_option


@click.command("calibrate")
@model_argument
@text_option
@click.option("--out", type=click.Path(path_type=Path), default=Path("imatrix.gguf"), help="File [imatrix.gguf].")
@click.option("--ctx", type=click.IntRange(16), default=512, help="Tokens per chunk [512].")
@click.option("--chunks", type=click.IntRange(0), default=64, help="Chunks to use, 0 for all [64].")
@threads_option
@json_option
def command(
    model: Path, texts: tuple[Path, ...], out: Path, ctx: int, chunks: int, threads: int | None, as_json: bool
) -> None:
    """Compute the importance matrix of MODEL (GGUF) on a text, in the form that llama-quantize reads."""
    from edgeq import build, device, models
    from edgeq.calibrate import calibrate
    from edgeq.cli._progress import step

    described = models.describe(model)
    with step("build") as update:
        built = build.build(on_progress=lambda text, share: update(share, text))
    with step("calibrate") as update:
        record = calibrate(
            described,
            texts,
            built,
            out,
            n_ctx=ctx,
            n_chunks=chunks,
            n_threads=threads or device.physical_cores(),
            on_progress=update,
        )
    if as_json:
        echo_json(record)
    else:
        click.echo(record.path)
