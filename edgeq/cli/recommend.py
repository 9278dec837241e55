"""edgeq recommend: which file to ship."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeq.cli._options import Number, echo_json, json_option, tariff_options

if TYPE_CHECKING:
    from edgeq.records import BenchRecord, EvalRecord, Profile
    from edgeq.records.advice import Board

_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
_NOTHING_FITS = 3


class Size(click.ParamType):  # type: ignore[type-arg]
    """Bytes with a unit: ``6GiB``, ``512MiB``, ``6GB``."""

    name = "SIZE"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMG]?I?B)", str(value).strip().upper())
        if not found or not (n_bytes := round(float(found[1]) * _UNITS[found[2]])):
            self.fail(f"{value} is no size: write 6GiB, 512MiB or 6GB.", param, ctx)
        return n_bytes


@click.command("recommend")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--device", help="Profile of the board that the file is for: its memory becomes the limit of the RAM.")
@click.option("--max-ram", "max_ram_bytes", type=Size(), help="Most RAM at peak: 6GiB, 512MiB [what --device has].")
@click.option("--min-tps", type=Number(0, min_open=True), help="Fewest t/s in the test.")
@click.option("--max-j-per-token", type=Number(0, min_open=True), help="Most J/token in the test, gross of idle.")
@click.option("--min-top1", type=Number(0, 1, min_open=True), help="Least top-1 agreement with the reference: 0.93.")
@click.option("--max-kld", type=Number(0, min_open=True), help="Highest mean KLD from the reference, in nats.")
@click.option(
    "--goal",
    type=click.Choice(["quality", "speed", "energy", "cost"]),
    help="What to be best at [as good as about 4 bits per parameter can be, lower only where a limit forces it].",
)
@click.option("--test", default="tg128", help="The bench test that t/s, J/token and cost are of [tg128].")
@tariff_options
@json_option
def command(
    runs: tuple[Path, ...],
    device: str | None,
    test: str,
    as_json: bool,
    kwh: float | None,
    efficiency: float | None,
    device_price: float | None,
    life: float | None,
    **wishes: Any,
) -> None:
    """Say which file of one or more run folders to ship to a board, and what is given up with it.

    Exit status 3 where no file satisfies the limits; the nearest one is shown then.
    """
    from edgeq import analyze, bench, profiles, report
    from edgeq.analyze.advice import recommend
    from edgeq.cli._options import tariff
    from edgeq.records.advice import Wanted
    from edgeq.run_folder import RunFolder

    price = tariff({"kwh": kwh, "efficiency": efficiency, "device_price": device_price, "life": life})
    if wishes["goal"] == "cost" and price is None:
        raise click.UsageError("--goal cost needs the price of a kWh: --kwh.")
    name = bench.parse_test(test).name
    profile = profiles.load(device) if device else None
    loaded = [RunFolder(path).load() for path in runs]
    benches, evals, models = ([record for part in parts for record in part] for parts in zip(*loaded, strict=True))
    rows = analyze.summarize(benches, evals, models).rows
    board = _board(profile, benches, evals) if profile else None
    advice = recommend(rows, Wanted(test=name, tariff=price, board=board, **wishes))
    if as_json:
        echo_json(advice)
    else:
        click.echo(report.advice(advice))
    if not any(answer.pick for answer in advice.answers):
        raise click.exceptions.Exit(_NOTHING_FITS)


def _board(profile: Profile, benches: Sequence[BenchRecord], evals: Sequence[EvalRecord]) -> Board:
    """The board of a profile, with the names under which it has figures: it was measured with it, or looks like it."""
    from edgeq import analyze, profiles
    from edgeq.records.advice import Board

    names = analyze.device_names([*(b.host for b in benches), *(e.host for e in evals)])
    own = [b for b in benches if b.profile.name == profile.name or profiles.is_of(profile, b.host)]
    memory = profile.memory
    usable = round((memory.gib - memory.system_gib) * 2**30) if memory else None
    return Board(profile.name, tuple(sorted({names[b.host.condition] for b in own})), usable)
