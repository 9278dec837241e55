"""edgeq quantize: GGUF files of many types."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeq.cli._options import Names, Number, Numbers, echo_json, json_option, model_argument, threads_option

if TYPE_CHECKING:
    from edgeq.records import FrontPlan, Gguf


@click.command("quantize")
@model_argument
@click.option("--types", type=Names(), default="", help="File types: Q2_K,Q4_K_M,IQ3_XXS ...")
@click.option("--recipes", type=Names(), default="", help="Recipes: names from the shelf or YAML files.")
@click.option("--imatrix", type=click.Path(path_type=Path), help="Importance matrix (`edgeq calibrate`).")
@click.option(
    "--target-bpw", type=Numbers(), default="", help="Mix types for files of so many bits a weight: 3,3.5,4.5"
)
@click.option("--target-size", type=Names(), default="", help="Mix types for files of so many bytes: 1.5GiB")
@click.option("--fit", help="Mix types for what fits the memory of this profile, with the context of --ctx.")
@click.option("--ctx", type=click.IntRange(1, 2**22), default=4096, help="Context for --fit, in tokens [4096].")
@click.option("--speeds", help="What types cost on a device: the record of `edgeq bench --types`.")
@click.option("--decode-tps", type=Number(0, min_open=True), help="Decode at least so many t/s by --speeds.")
@click.option("--text", multiple=True, help="Text to measure mixes on; without --calibration-text its second half.")
@click.option("--calibration-text", multiple=True, help="Text to calibrate and to probe tensors with; repeatable.")
@click.option(
    "--candidates", type=Names(), default="K,I", help="Types that a tensor may be given; K, I: all such [K,I]."
)
@click.option(
    "--probe", type=click.Choice(["tensor", "segment"]), help="What is probed at a time [by the model's size]."
)
@click.option("--fold", is_flag=True, help="Also mix types for weights with activation-aware scales folded in (AWQ).")
@click.option("--refine", is_flag=True, help="Round better into the same bytes; of mixes for a target, both are made.")
@click.option("--statistics", help="Second moments for --refine [of the calibration texts].")
@click.option(
    "--chunks", type=click.IntRange(2), default=16, help="Chunks of 512 tokens of each --text to measure [16]."
)
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
    target_bpw: tuple[float, ...],
    target_size: tuple[str, ...],
    fit: str | None,
    out: Path,
    dry_run: bool,
    allow_requantize: bool,
    threads: int | None,
    as_json: bool,
    refine: bool,
    statistics: str | None,
    **search: Any,
) -> None:
    """Make one GGUF of each type from MODEL (an F16 or BF16 GGUF), or the best ones for a budget.

    With a target, each tensor is given the type that does the least damage for its bytes, by measurement: the files are
    then measured beside llama.cpp's own of about their sizes on text that the search has not seen. --types adds more of
    those. Interrupted, the same command carries on.
    """
    from rich.console import Console

    from edgeq import build, device, models, pipeline, report
    from edgeq.cli import _tables
    from edgeq.cli._progress import step
    from edgeq.convert import convert
    from edgeq.pipeline import refining
    from edgeq.quantize import plan, quantize
    from edgeq.records import FrontPlan, Plan

    if statistics and not refine:
        raise click.UsageError("--statistics belong to --refine.")
    source = convert(str(model), out, allow_requantize=allow_requantize)
    if target_bpw or target_size or fit:
        if recipes:
            raise click.UsageError("--recipes are settled mixes: they don't go with a target.")
        asked = FrontPlan(
            model=str(model),
            target_bpw=target_bpw,
            target_size=target_size,
            fit=fit,
            types=types,
            imatrix=str(imatrix) if imatrix else None,
            n_threads=threads or 0,
            refine=refine,
            statistics=statistics,
            **search,
        )
        _search(asked, source, out, dry_run=dry_run, as_json=as_json)
        return
    matrix = models.describe_imatrix(imatrix) if imatrix else None
    with step("build") as update:
        built = build.build(on_progress=lambda text, share: update(share, text))
    chosen = pipeline.choose(Plan(model=str(model), types=types, recipes=recipes), built)
    if refine:
        chosen = tuple(map(refining.refined, chosen))
    if dry_run:
        predictions = plan(source, chosen, matrix, built)
        if as_json:
            echo_json(predictions)
        else:
            _tables.predictions(source, predictions)
        return
    n_threads = threads or device.physical_cores()
    moments = None
    if refine:
        seen = refining.statistics(statistics, search["calibration_text"])
        moments = refining.moments(source, seen, built, out, n_threads, step)
        matrix = matrix or refining.importance(source, seen, built, out, n_threads, step)
    with step("quantize") as update:
        made = quantize(
            source,
            chosen,
            matrix,
            built,
            out,
            moments=moments,
            n_threads=n_threads,
            on_progress=lambda name, share: update(share, name),
        )
    if as_json:
        echo_json(made)
        return
    _tables.files(made)
    for file in made:
        if file.refined:
            Console().print(f"\n{file.recipe.name if file.recipe else file.name}", report.refined_terminal(file))


def _search(asked: FrontPlan, source: Gguf, out: Path, *, dry_run: bool, as_json: bool) -> None:
    """The best files for some budgets."""
    from rich.console import Console

    from edgeq import report
    from edgeq.cli._progress import step
    from edgeq.pipeline import budgets

    if dry_run:
        allocations = budgets.search(asked, source, out, step).allocations
        for allocation in allocations:
            budgets.write_recipe(allocation.recipe, out)
        if as_json:
            echo_json(allocations)
        else:
            Console().print(report.allocations_terminal(allocations))
        return
    front = budgets.front(asked, source, out, step)
    if as_json:
        echo_json(front)
        return
    Console().print(report.budgets_terminal(front))
    click.echo(str(out / "front.html"))
