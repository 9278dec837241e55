"""edgeq calibrate: statistics of activations from texts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from edgeq.cli._options import echo_json, json_option, model_argument, text_option, threads_option

if TYPE_CHECKING:
    from edgeq.records import Imatrix, Moments

_CHUNKS = 64
_MOMENTS_TOKENS = 65_536


@click.command("calibrate")
@model_argument
@text_option
@click.option("--out", type=click.Path(path_type=Path), help="File [imatrix.gguf, or moments.gguf].")
@click.option("--ctx", type=click.IntRange(16), default=512, help="Tokens per chunk [512].")
@click.option(
    "--chunks",
    type=click.IntRange(0),
    help="Chunks to use, 0 for all [64; for second moments 65536 tokens, as many of each text].",
)
@click.option("--second-moments", is_flag=True, help="Compute E[x xᵀ] of the activations instead, for refining.")
@click.option(
    "--validation",
    type=click.Path(path_type=Path),
    help="Text that second moments are validated on [the last --text, which is then kept out].",
)
@click.option(
    "--form",
    type=click.Choice(["full", "blocks"]),
    help="Second moments as whole matrices, or as blocks of 256 columns, which take less memory [what fits].",
)
@threads_option
@json_option
def command(
    model: Path,
    texts: tuple[Path, ...],
    out: Path | None,
    ctx: int,
    chunks: int | None,
    second_moments: bool,
    validation: Path | None,
    form: Literal["full", "blocks"] | None,
    threads: int | None,
    as_json: bool,
) -> None:
    """Compute the importance matrix of MODEL (GGUF) on a text, in the form that llama-quantize reads.

    With --second-moments: how the inputs of each weight matrix vary together, over texts of several kinds that all
    count the same.
    """
    from edgeq import build, device, models
    from edgeq.calibrate import calibrate, moments
    from edgeq.cli._progress import step

    if not second_moments and (validation or form):
        raise click.UsageError("--validation and --form belong to --second-moments.")
    if second_moments and validation is None:
        *kept, validation = texts
        texts = tuple(kept)
        if not texts:
            raise click.UsageError("Second moments need a text to validate on: give a second --text, or --validation.")
    described = models.describe(model)
    with step("build") as update:
        built = build.build(on_progress=lambda text, share: update(share, text))
    n_threads = threads or device.physical_cores()
    record: Imatrix | Moments
    with step("calibrate") as update:
        if second_moments:
            assert validation is not None
            record = moments(
                described,
                texts,
                validation,
                built,
                out or Path("moments.gguf"),
                form=form or "auto",
                n_tokens=_MOMENTS_TOKENS if chunks is None else chunks * ctx,
                n_ctx=ctx,
                n_threads=n_threads,
                on_progress=update,
            )
        else:
            record = calibrate(
                described,
                texts,
                built,
                out or Path("imatrix.gguf"),
                n_ctx=ctx,
                n_chunks=_CHUNKS if chunks is None else chunks,
                n_threads=n_threads,
                on_progress=update,
            )
    if as_json:
        echo_json(record)
    else:
        click.echo(record.path)
