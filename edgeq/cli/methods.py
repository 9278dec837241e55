"""edgeq methods: the twelve quantization methods compared."""

from __future__ import annotations

from pathlib import Path

import click

from edgeq.cli._options import THREADS, Names, echo_json, json_option

_MEASURES = ("fidelity", "long", "tasks", "generation", "bench")


@click.command("methods")
@click.argument("model", required=False)
@click.option("--plan", type=click.Path(path_type=Path), help="YAML file with these settings; options win over it.")
@click.option(
    "--calibration-text",
    multiple=True,
    help="Text whose first half calibrates and trains, and whose second half is scored; repeatable.",
)
@click.option("--text", multiple=True, help="Text of another domain to score; repeatable.")
@click.option("--methods", type=Names(), help="Methods to compare, by name [all twelve].")
@click.option("--types", type=Names(), help="File types for the second table, as they are deployed.")
@click.option("--measure", type=Names(), help=f"What to measure [{','.join(_MEASURES)}].")
@click.option("--qat", multiple=True, type=click.Path(), help="A published QAT file (GGUF) as an arm; repeatable.")
@click.option(
    "--choices", multiple=True, type=click.Path(), help="JSON Lines of question, choices, answer; repeatable."
)
@click.option(
    "--regrid", is_flag=True, default=None, help="Take the weights of a quantized MODEL off their grid first."
)
@click.option("--pad-rows", type=click.IntRange(32), help="Pad rows with zeros to a multiple of this first (256).")
@click.option("--profile", help="Device profile: a name from the shelf or a YAML file [local].")
@click.option("--tests", type=Names(), help="Bench tests [pp512,tg128].")
@click.option("--reps", "n_reps", type=click.IntRange(1), help="Timed repetitions of each test [5].")
@click.option("--threads", "n_threads", type=THREADS, help="CPU threads [physical cores].")
@click.option("--ctx", "n_ctx", type=click.IntRange(16), help="Tokens per chunk of text [512].")
@click.option("--chunks", "n_chunks", type=click.IntRange(0), help="Chunks of each text to score, 0 for all [8].")
@click.option("--calibration-chunks", type=click.IntRange(0), help="Chunks to calibrate on, 0 for all [64].")
@click.option("--long-ctx", type=click.IntRange(64), help="Tokens of the long context [2048].")
@click.option("--items", "n_items", type=click.IntRange(10), help="Questions of each task [50].")
@click.option("--seed", type=int, help="Seed of the tasks [1].")
@click.option(
    "--memory-share",
    type=click.FloatRange(0, 1, min_open=True),
    help="Share of the available memory that models being evaluated together may take [0.7].",
)
@click.option("--allow-requantize", is_flag=True, default=None, help="Accept a model that is quantized already.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder [edgeq-methods-NAME of the model].")
@json_option
def command(model: str | None, plan: Path | None, out: Path | None, as_json: bool, **options: object) -> None:
    """Compare the twelve quantization methods on MODEL: quality, tasks, stability, memory, speed and energy.

    Makes every method's files, measures them on the same tokens, items and machine, and says of each claim whether it
    holds here. Interrupted, the same command carries on.
    """
    from edgeq import report
    from edgeq.cli._progress import step
    from edgeq.pipeline.methods import methods
    from edgeq.plugins import decode, yaml_mapping
    from edgeq.records import MethodsPlan
    from edgeq.run_folder import RunFolder

    given = yaml_mapping(plan) if plan else {}
    given |= {k: v for k, v in options.items() if v not in (None, ())}
    if model is not None:
        given["model"] = model
    for key, flag in (("model", "MODEL"), ("calibration_text", "--calibration-text"), ("text", "--text")):
        if not given.get(key):
            raise click.UsageError(f"{flag} is missing.")
    asked = decode(str(plan) if plan else "The options", given, MethodsPlan)
    folder = RunFolder(out or Path(f"edgeq-methods-{Path(asked.model).stem}"))
    table = methods(asked, folder, step)
    if as_json:
        echo_json(table)
        return
    from rich.console import Console

    Console().print(report.methods_terminal(table))
    click.echo(str(folder.page))
