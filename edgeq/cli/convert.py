"""edgeq convert: Hugging Face to GGUF."""

from __future__ import annotations

from pathlib import Path

import click

from edgeq.cli._options import echo_json, json_option


@click.command("convert")
@click.argument("source")
@click.option("--out", type=click.Path(path_type=Path), default=Path("models"), help="Folder for the file [models].")
@click.option("--outtype", type=click.Choice(["auto", "f16", "bf16"]), default="auto", help="Type of the weights.")
@click.option("--allow-requantize", is_flag=True, help="Accept a GGUF that is quantized already.")
@click.option("--trust-remote-code", is_flag=True, help="Let the model's own Python code run.")
@json_option
def command(
    source: str, out: Path, outtype: str, allow_requantize: bool, trust_remote_code: bool, as_json: bool
) -> None:
    """Make an F16 or BF16 GGUF from SOURCE, a Hugging Face folder or repository; a GGUF is only checked."""
    from edgeq.cli._progress import step
    from edgeq.convert import convert

    with step("convert") as update:
        model = convert(
            source,
            out,
            outtype=outtype,
            allow_requantize=allow_requantize,
            trust_remote_code=trust_remote_code,
            on_progress=lambda text: update(None, text),
        )
    if as_json:
        echo_json(model)
    else:
        click.echo(model.path)
