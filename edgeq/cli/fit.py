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
        built = build.build(profiles.load("local"), on_progress=lambda text, share: update(share, text))
    results = [fit.fit(model, board, built, n_ctx=n_ctx, n_threads=threads or 0) for model in described]
    if as_json:
        echo_json(results)
    else:
        _print(results, board)


def _print(results: Sequence[Fit], board: Profile) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("file", overflow="fold")
    for name in ("weights", "KV", "compute", "other", "needed", "usable"):
        table.add_column(f"{name}\nMiB", justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("longest\ncontext", justify="right", no_wrap=True)
    table.add_column("t/s at most\nempty..full", justify="right", no_wrap=True)
    for r in results:
        sizes = (r.weights_bytes, r.kv_bytes, r.compute_bytes, r.overhead_bytes, r.needed_bytes, r.usable_bytes)
        table.add_row(Path(r.model.path).name, *map(_mib, sizes), r.verdict, _longest(r), _bounds(r))
    console = Console(highlight=False)
    console.print(table)
    for r in results:
        console.print(_sentence(r, board), markup=False)
    console.print(_bound_sentence(results[0]), markup=False)


def _mib(n_bytes: int) -> str:
    return f"{n_bytes / _MIB:,.0f}"


def _longest(r: Fit) -> str:
    return "-" if not r.max_n_ctx else f"{r.max_n_ctx:,}"


def _bounds(r: Fit) -> str:
    return "-" if r.bound_tps is None or r.full_bound_tps is None else f"{r.bound_tps:.1f}..{r.full_bound_tps:.1f}"


def _sentence(r: Fit, board: Profile) -> str:
    """How the margin comes about."""
    where = "are this machine's whole memory"
    if board.memory:
        where = f"are left of {board.memory.gib:g} GiB by a system that takes {board.memory.system_gib:g}"
    parts = f"{_mib(r.held_bytes)} held and {_mib(r.mapped_bytes)} mapped from the file"
    text = f"{Path(r.model.path).name}: {_mib(r.usable_bytes)} MiB {where}, {_mib(r.needed_bytes)} are needed ({parts})"
    if r.gpu_needed_bytes is not None and r.gpu_usable_bytes is not None:
        text += (
            f"; of the GPU's {_mib(r.gpu_usable_bytes)} MiB {_mib(r.gpu_needed_bytes)}, its driver's share not counted"
        )
    if r.verdict == "does not fit":
        return f"{text}: {_mib(-r.margin_bytes)} MiB are missing."
    text += f": {_mib(r.margin_bytes)} MiB to spare"
    return f"{text}, less than loading would like ({_mib(r.rss_peak_bytes)})." if r.verdict == "tight" else f"{text}."


def _bound_sentence(r: Fit) -> str:
    if r.bound_tps is None:
        return "There is no bound of t/s: the profile has no memory bandwidth (gb_s)."
    source = f" ({r.bandwidth_source})" if r.bandwidth_source else ""
    return (
        f"t/s: what the memory's peak bandwidth{source} allows for if reading the weights and the KV cache were all "
        "there is to do. It is a bound and no forecast: `edgeq bench` on the board measures."
    )
