"""edgeq run: the main job."""

from __future__ import annotations

from pathlib import Path

import click

from edgeq.cli._options import THREADS, Names, echo_json, json_option


@click.command("run")
@click.argument("model", required=False)
@click.option("--plan", type=click.Path(path_type=Path), help="YAML file with these settings; options win over it.")
@click.option("--types", type=Names(), help="File types to make: Q2_K,Q4_K_M,IQ3_XXS ...")
@click.option("--recipes", type=Names(), help="Recipes to make: names from the shelf or YAML files.")
@click.option("--text", multiple=True, help="Text to evaluate on; repeatable.")
@click.option(
    "--calibration-text",
    multiple=True,
    help="Text for the importance matrix; repeatable. Without it the first half of --text serves, "
    "and the second half is evaluated.",
)
@click.option("--imatrix/--no-imatrix", default=None, help="Use an importance matrix [yes].")
@click.option("--refine", is_flag=True, default=None, help="Make each file a second time, rounded better (refined).")
@click.option("--statistics", help="Second moments for --refine [of the calibration texts].")
@click.option("--profile", help="Device profile: a name from the shelf or a YAML file [local].")
@click.option("--tests", type=Names(), help="Bench tests [pp512,tg128]; depth as tg128@d4096.")
@click.option("--reps", "n_reps", type=click.IntRange(1), help="Timed repetitions of each test [10].")
@click.option("--threads", "n_threads", type=THREADS, help="CPU threads [physical cores].")
@click.option("--ctx", "n_ctx", type=click.IntRange(16), help="Tokens per chunk of text [512].")
@click.option("--chunks", "n_chunks", type=click.IntRange(0), help="Chunks to evaluate, 0 for all [32].")
@click.option("--calibration-chunks", type=click.IntRange(0), help="Chunks to calibrate on, 0 for all [64].")
@click.option(
    "--memory-share",
    type=click.FloatRange(0, 1, min_open=True),
    help="Share of the available memory that models being evaluated together may take [0.7].",
)
@click.option("--outtype", type=click.Choice(["auto", "f16", "bf16"]), help="Type of a converted model [auto].")
@click.option("--allow-requantize", is_flag=True, default=None, help="Accept a model that is quantized already.")
@click.option("--trust-remote-code", is_flag=True, default=None, help="Let a model's own Python code run.")
@click.option("--out", type=click.Path(path_type=Path), help="Run folder [edgeq-NAME of the model].")
@json_option
def command(model: str | None, plan: Path | None, out: Path | None, as_json: bool, **options: object) -> None:
    """Take MODEL (Hugging Face folder, repository or GGUF) to a table of what each file type costs here.

    Converts, calibrates, quantizes, benches, evaluates, reports. Interrupted, the same command carries on.
    """
    import msgspec

    from edgeq import pipeline, report
    from edgeq.cli._progress import step
    from edgeq.plugins import read_yaml
    from edgeq.records import Plan
    from edgeq.run_folder import RunFolder

    if model is None and plan is None:
        raise click.UsageError("Give a MODEL or a --plan.")
    given = {k: v for k, v in options.items() if v not in (None, ())}
    if model is not None:
        given["model"] = model
    base = read_yaml(plan, Plan) if plan else Plan(model="")
    asked = msgspec.structs.replace(base, **given)
    if asked.statistics and not asked.refine:
        raise click.UsageError("--statistics belong to --refine.")
    folder = RunFolder(out or Path(f"edgeq-{Path(asked.model).stem or 'run'}"))
    summary = pipeline.run(asked, folder, step)
    if as_json:
        echo_json(summary)
        return
    from rich.console import Console

    Console().print(report.terminal(summary))
    click.echo(f"Which of them to ship: edgeq recommend {folder.path}", err=True)
    click.echo(str(folder.page))
