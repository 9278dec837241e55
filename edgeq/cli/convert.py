"""edgeq convert: a model to quantize from, as GGUF."""

from __future__ import annotations

from pathlib import Path

import click

from edgeq.cli._options import echo_json, json_option
from edgeq.records import Gguf


@click.command("convert")
@click.argument("source")
@click.option("--out", type=click.Path(path_type=Path), default=Path("models"), help="Folder for the file [models].")
@click.option("--outtype", type=click.Choice(["auto", "f16", "bf16", "f32"]), default="auto", help="Type of weights.")
@click.option(
    "--regrid",
    is_flag=True,
    help="Take the weights of a quantized GGUF off their grid: channels are multiplied by random factors that cancel "
    "out. What the model computes stays; so do its embedding and output head.",
)
@click.option(
    "--pad-rows",
    type=click.IntRange(32),
    help="Pad rows with zeros to a multiple of this, 256 for K- and I-quants; what the model computes stays.",
)
@click.option("--allow-requantize", is_flag=True, help="Accept a GGUF that is quantized already, on its grid.")
@click.option("--trust-remote-code", is_flag=True, help="Let the model's own Python code run.")
@json_option
def command(
    source: str,
    out: Path,
    outtype: str,
    regrid: bool,
    pad_rows: int | None,
    allow_requantize: bool,
    trust_remote_code: bool,
    as_json: bool,
) -> None:
    """Make a GGUF to quantize from of SOURCE: a Hugging Face folder or repository, or a GGUF.

    A GGUF is only checked, unless it is to be regridded or padded (llama, qwen2 and qwen3 without experts). Prints the
    file's path; what was done goes to standard error.
    """
    from edgeq.cli._progress import step
    from edgeq.convert import convert

    with step("convert") as update:
        model = convert(
            source,
            out,
            outtype=outtype,
            regrid=regrid,
            pad_rows=pad_rows,
            allow_requantize=allow_requantize,
            trust_remote_code=trust_remote_code,
            on_progress=lambda text: update(None, text),
            on_share=lambda share: update(share),
        )
    if as_json:
        echo_json(model)
    else:
        click.echo(f"  {_in_words(model, source)}", err=True)
        click.echo(model.path)


def _in_words(model: Gguf, source: str) -> str:
    """What the file is, and what was done to its weights."""
    from edgeq import gguf_info
    from edgeq.convert import PADDED_FROM, REGRID_SEED

    metadata = gguf_info.read_header(Path(model.path)).metadata
    said = [f"{model.file_type}, {model.n_params / 1e6:.1f} M parameters, {model.n_bytes / 1e6:.1f} MB"]
    if Path(model.path) == Path(source):
        said.append("checked, nothing changed")
    if REGRID_SEED in metadata:
        said.append(f"weights off their grid (seed {metadata[REGRID_SEED]}), embedding and output head as they were")
    if PADDED_FROM in metadata:
        new = metadata[f"{model.arch}.embedding_length"]
        said.append(f"rows padded with zeros, {metadata[PADDED_FROM]} to {new} values in the embedding")
    return "; ".join(said)
