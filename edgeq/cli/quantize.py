"""edgeq quantize: GGUF files of many types."""

from __future__ import annotations

from pathlib import Path

import click

from edgeq.cli._options import Names, echo_json, json_option, model_argument, threads_option


@click.command("quantize")
@model_argument
@click.option("--types", type=Names(), default="", help="File types: Q2_K,Q4_K_M,IQ3_XXS ...")
@click.option("--recipes", type=Names(), default="", help="Recipes: names from the shelf or YAML files.")
@click.option("--imatrix", type=click.Path(path_type=Path), help="Importance matrix (`edgeq calibrate`).")
@click.option("--out", type=click.Path(path_type=Path), default=Path("models"), help="Folder for the files [models].")
@click.option("--dry-run", is_flag=True, help="Only say how large each file will be and what is in it.")
@click.option("--allow-requantize", is_flag=True, help="Accept a model that is quantized already.")
@threads_option
@json_option
def command(
    model: Path,
    types: tuple[str, ...],
    recipes: tuple[str, ...],
    imatrix: Path | None,
    out: Path,
    dry_run: bool,
    allow_requantize: bool,
    threads: int | None,
    as_json: bool,
) -> None:
    """Make one GGUF of each type from MODEL (an F16 or BF16 GGUF)."""
    from edgeq import build, device, models, pipeline
    from edgeq.cli import _tables
    from edgeq.cli._progress import step
    from edgeq.convert import convert
    from edgeq.quantize import plan, quantize
    from edgeq.records import Plan

    source = convert(str(model), out, allow_requantize=allow_requantize)
    matrix = models.describe_imatrix(imatrix) if imatrix else None
    with step("build") as update:
        built = build.build(on_progress=lambda text, share: update(share, text))
    chosen = pipeline.choose(Plan(model=str(model), types=types, recipes=recipes), built)
    if dry_run:
        predictions = plan(source, chosen, matrix, built)
        if as_json:
            echo_json(predictions)
        else:
            _tables.predictions(source, predictions)
        return
    with step("quantize") as update:
        made = quantize(
            source,
            chosen,
            matrix,
            built,
            out,
            n_threads=threads or device.physical_cores(),
            on_progress=lambda name, share: update(share, name),
        )
    if as_json:
        echo_json(made)
    else:
        _tables.files(made)
