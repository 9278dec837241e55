"""edgeq evaluate: quality against a reference."""

from __future__ import annotations

from pathlib import Path

import click

from edgeq.cli._options import echo_json, json_option, text_option, threads_option


@click.command("evaluate")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--reference", required=True, type=click.Path(path_type=Path), help="The unquantized model (GGUF).")
@text_option
@click.option("--ctx", type=click.IntRange(16), default=512, help="Tokens per chunk [512].")
@click.option("--first", type=click.IntRange(1), help="First scored position in a chunk [half of --ctx].")
@click.option("--chunks", type=click.IntRange(0), default=32, help="Chunks to score, 0 for all [32].")
@click.option(
    "--memory-share",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.7,
    help="Share of the available memory for models scored together [0.7].",
)
@threads_option
@click.option("--out", type=click.Path(path_type=Path), default=Path("records"), help="Folder for records [records].")
@json_option
def command(
    files: tuple[Path, ...],
    reference: Path,
    texts: tuple[Path, ...],
    ctx: int,
    first: int | None,
    chunks: int,
    memory_share: float,
    threads: int | None,
    out: Path,
    as_json: bool,
) -> None:
    """Score FILES (GGUF) against the reference over the same tokens: KLD, top-1 agreement, PPL, Δp."""
    from rich.console import Console

    from edgeq import analyze, build, device, models, report
    from edgeq.cli._progress import step
    from edgeq.evaluate import Candidate, evaluate, in_words
    from edgeq.records import EvalSettings

    if first is not None and first > ctx - 2:
        raise click.BadParameter(f"must be at most {ctx - 2} with --ctx {ctx}", param_hint="--first")
    base = models.describe(reference)
    candidates = [Candidate(models.describe(path)) for path in files]
    settings = EvalSettings(
        n_ctx=ctx, n_chunks=chunks, first=first or ctx // 2, n_threads=threads or device.physical_cores()
    )
    with step("build") as update:
        built = build.build(on_progress=lambda text, share: update(share, text))
    with step("evaluate") as update:
        records = evaluate(
            base,
            candidates,
            texts,
            built,
            settings,
            out,
            memory_share=memory_share,
            on_turns=lambda turns: update(0.0, in_words(turns)),
            on_progress=update,
        )
    summary = analyze.summarize([], records)
    if as_json:
        echo_json(summary)
    else:
        Console().print(report.terminal(summary))
