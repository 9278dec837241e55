"""edgeq fit: will it run on that board."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeq.cli._options import echo_json, json_option, threads_option

if TYPE_CHECKING:
    from edgeq.records import Fit, Profile

_MIB = 2**20


@click.command("fit")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--profile", default="local", help="Device profile: a name from the shelf or a YAML file [local].")
# llama.cpp keeps a record of every cell of a cache, also where it only simulates: no longer ones.
@click.option("--ctx", "n_ctx", type=click.IntRange(1, 2**22), default=4096, help="Context in tokens [4096].")
@threads_option
@json_option
def command(files: tuple[Path, ...], profile: str, n_ctx: int, threads: int | None, as_json: bool) -> None:
    """Say whether FILES (GGUF) will run on a board with this context, and how fast they can decode at most.

    Nothing is copied there, and no weights are read: llama.cpp itself says what it would allocate. A file that does not
    fit is a result and no error.
    """
    from edgeq import build, fit, models, profiles
    from edgeq.cli._progress import step

    board = profiles.load(profile)
    described = [models.describe(path) for path in files]
    with step("build") as update:
        built = build.build(on_progress=lambda text, share: update(share, text))
    results = [fit.fit(model, board, built, n_ctx=n_ctx, n_threads=threads or 0) for model in described]
    if as_json:
        echo_json(results)
    else:
        _print(results, board)


def _print(results: Sequence[Fit], board: Profile) -> None:
    from rich.table import Table

    from edgeq.cli._tables import wide_console

    table = Table(box=None, pad_edge=False)
    table.add_column("file", overflow="fold", min_width=16)
    table.add_column("verdict", no_wrap=True)
    for name in ("weights", "KV", "other", "needed", "to spare"):
        table.add_column(f"{name}\nMiB", justify="right", no_wrap=True)
    table.add_column("longest\ncontext", justify="right", no_wrap=True)
    table.add_column("t/s\nat most", justify="right", no_wrap=True)
    for r in results:
        weights = r.mapped_bytes + r.repacked_bytes + (r.gpu_needed_bytes or 0)
        sizes = (weights, r.kv_bytes, r.compute_bytes + r.overhead_bytes, r.needed_bytes, r.margin_bytes)
        longest = f"{r.max_n_ctx:,}" if r.max_n_ctx else "-"
        table.add_row(Path(r.model.path).name, r.verdict, *map(_mib, sizes), longest, _bound(r))
    console = wide_console(110)
    console.print(_board(results[0], board), markup=False)
    console.print(table)
    for r in results:
        if r.verdict == "tight":
            console.print(f"{Path(r.model.path).name}: loading would like {_mib(r.rss_peak_bytes)} MiB.", markup=False)
    console.print(
        "\nneeded: weights in the file's pages and copies of those that are rearranged, the KV cache, compute buffers "
        f"of {results[0].n_ubatch} tokens, and the program with its vocabulary, all as llama.cpp itself counts or "
        "takes them here; the rest is to spare.",
        markup=False,
    )
    console.print(_bounds(results[0]), markup=False)


def _mib(n_bytes: int) -> str:
    return f"{n_bytes / _MIB:,.0f}"


def _bound(r: Fit) -> str:
    return "-" if r.full_bound_tps is None else f"{r.full_bound_tps:,.{1 if r.full_bound_tps < 100 else 0}f}"


def _board(r: Fit, board: Profile) -> str:
    """What there is, of which memory."""
    of = f" of {board.memory.gib * 1024:,.0f}" if board.memory else ""
    text = f"{board.description or board.name} {_mib(r.usable_bytes)}{of} MiB can be used"
    if r.gpu_usable_bytes is not None:
        text += f", and {_mib(r.gpu_usable_bytes)} MiB on the GPU, its driver's share not counted"
    return f"{text}. Context: {r.n_ctx:,} tokens.\n"


def _bounds(r: Fit) -> str:
    if r.bound_tps is None:
        return "There is no bound of t/s: the profile has no memory bandwidth (gb_s)."
    source = f" ({r.bandwidth_source})" if r.bandwidth_source else ""
    return (
        f"t/s at most: with a full context, if the memory's peak bandwidth{source} were all that counts. It is a bound "
        "and no forecast: `edgeq bench` on the board measures."
    )
