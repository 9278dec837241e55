"""edgeq recommend: which file to ship."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeq.cli._options import Number, echo_json, json_option, tariff_options

if TYPE_CHECKING:
    from edgeq.records import BenchRecord, Host, Note, Profile, Row
    from edgeq.records.advice import Advice, Answer, Board, Check, Choice, Difference, LimitCost, Nearest, TariffRange

_WIDTH = 80
_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
# The kernel keeps up to 7 % of a board's memory for the firmware; the next smaller size is 25 % less.
_MEMORY_TOLERANCE = 0.12
_NOTHING_FITS = 3
_SIZES = ("RAM peak", "file size")


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
    from edgeq import analyze, bench, profiles
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
    board = _board(profile, benches, rows) if profile else None
    advice = recommend(rows, Wanted(test=name, tariff=price, board=board, **wishes))
    if as_json:
        echo_json(advice)
    else:
        click.echo("\n".join(_lines(advice)))
    if not any(answer.pick for answer in advice.answers):
        raise click.exceptions.Exit(_NOTHING_FITS)


def _board(profile: Profile, benches: Sequence[BenchRecord], rows: Sequence[Row]) -> Board:
    """The board of a profile, with the names under which these rows have figures of it."""
    from edgeq.records.advice import Board

    own = [bench for bench in benches if _is_of(bench.host, profile, bench.profile.name)]
    names = {row.device for row in rows if any(_is_row_of(row, bench) for bench in own)}
    memory = profile.memory
    usable = round((memory.gib - memory.system_gib) * 2**30) if memory else None
    return Board(profile.name, tuple(sorted(names)), usable)


def _is_row_of(row: Row, bench: BenchRecord) -> bool:
    measured = (row.sha256, row.build, row.settings, row.power_mode, row.rss_peak_bytes)
    host = bench.host
    same = (bench.model.sha256, bench.build.key, bench.settings, host.power_mode, bench.rss_peak_bytes)
    return measured == same and row.device.startswith(host.cpu)


def _is_of(host: Host, profile: Profile, measured_as: str) -> bool:
    """Whether a machine is the profile's board: it says so itself, or it was measured with this very profile."""
    if profile.target and profile.target.partition("-")[0] != host.arch.replace("arm64", "aarch64"):
        return False
    if profile.match is None:
        return measured_as == profile.name
    if profile.memory and abs(host.mem_bytes / 2**30 / profile.memory.gib - 1) > _MEMORY_TOLERANCE:
        return False
    boards = (*profile.match.dmi, *((profile.board,) if profile.board else ()))
    said = [(host.board, boards), (host.cpu, profile.match.cpu), *((gpu, profile.match.gpu) for gpu in host.gpu)]
    found = any(text and any(part.lower() in text.lower() for part in parts) for text, parts in said)
    return found or measured_as == profile.name


def _lines(advice: Advice) -> Iterator[str]:
    for i, answer in enumerate(advice.answers):
        yield from [""] if i else []
        yield from _answer(answer, advice)
    yield from _notes("For all devices", advice.notes)


def _answer(answer: Answer, advice: Advice) -> Iterator[str]:
    from edgeq.report.figures import count

    where = _plain(answer.device) or "device not named"
    yield from _wrapped(
        f"{where}: {f'ship {_plain(answer.pick.label)}' if answer.pick else 'no file to recommend'}", ""
    )
    yield from _wrapped(_plain(answer.why))
    kept = f"{count(answer.n_allowed)} of {count(answer.n_files)} files keep every limit."
    yield from _wrapped(kept) if answer.limit_costs and answer.n_allowed else []
    if answer.pick:
        yield from _pick(answer.pick, answer, advice)
    if answer.nearest:
        yield from _nearest(answer.nearest)
    yield from _section("Limits", [line for cost in answer.limit_costs for line in _limit(cost, answer)])
    if advice.wanted.tariff and answer.pick:
        goal = advice.wanted.goal
        yield from _section("Price of a kWh", [_tariff(answer.tariff, goal == "cost", advice.wanted.tariff.per_kwh)])
    if len(answer.front) > 1 and answer.pick:
        groups = ", ".join(" = ".join(map(_plain, group)) for group in answer.front)
        alike = " Files joined by = are alike on all of these." if any(len(g) > 1 for g in answer.front) else ""
        yield from _section(f"Nothing beats these on {', '.join(answer.front_axes)}", [f"{groups}.{alike}"])
    yield from _notes("Notes", answer.notes)


def _pick(pick: Choice, answer: Answer, advice: Advice) -> Iterator[str]:
    yield from _section("Measured with", [_settings(pick, advice)])
    yield from _section("Figures", list(_figures(pick, advice)), 9)
    yield from _section("What breaks", [note.text for note in answer.broken])
    lines = []
    for runner in answer.runners_up:
        there = _difference(runner.there) if runner.there else "the pick has no figure here"
        if runner.there and not runner.there.better:
            there += ", not better"
        elsewhere = ", ".join(map(_difference, runner.elsewhere))
        lines.append(f"{runner.axis:<9}{_plain(runner.label)}: {there}" + (f"; {elsewhere}" if elsewhere else ""))
    yield from _section("Best of the other allowed files on each axis, against the pick", lines, 9)


def _settings(pick: Choice, advice: Advice) -> str:
    from edgeq import bench

    if pick.measured_on:
        return f"Measured on {_plain(pick.measured_on)}, not on this board: quality and file size only."
    s = pick.settings
    if s is None:
        return "Not known: there is no record of its settings."
    test = bench.parse_test(advice.wanted.test)
    threads = f"{s.n_threads} thread{'' if s.n_threads == 1 else 's'}" if s.n_threads else "the default of threads"
    parts = [
        f"{threads}, {test.name} (context of {test.n_depth + test.n_prompt + test.n_gen} tokens)",
        f"KV cache {s.type_k}/{s.type_v}, flash attention {s.flash_attn}, {s.n_gpu_layers} layers on the GPU",
        f"backend {pick.backend or 'not known'}, power mode {_plain(pick.power_mode or 'not known')}",
    ]
    return "; ".join(parts) + "."


def _figures(pick: Choice, advice: Advice) -> Iterator[str]:
    from edgeq.report.figures import ABOUT, estimate, significant

    f, tariff = pick.figures, advice.wanted.tariff
    if pick.reference:
        yield "quality  KLD 0, top-1 100 %, PPL ratio 1: it is the reference itself"
    else:
        top1 = f"{estimate(f.top1, 100).figure} %" if f.top1 else "-"
        yield f"quality  KLD {estimate(f.kld).figure}, top-1 {top1}, PPL ratio {estimate(f.ppl_ratio).figure}"
    rss = _size(f.rss_peak_bytes) if f.rss_peak_bytes is not None else "-"
    elsewhere = f" ({_size(pick.rss_elsewhere_bytes)} on the other machine)" if pick.rss_elsewhere_bytes else ""
    yield f"memory   RAM peak {rss}{elsewhere}, file {_size(f.n_bytes)}, {pick.bpw:.2f} bits per parameter"
    state = f", {', '.join(map(_plain, f.state))}" if f.state else ""
    yield f"speed    {estimate(f.tps).figure} t/s{state}"
    about = ABOUT if f.estimated else ""
    energy = (
        f"{about}{estimate(f.j_per_token).figure} J/token gross, {_plain(f.scope)}" if f.j_per_token else "- J/token"
    )
    yield f"energy   {energy}"
    about = ABOUT if f.cost_estimated else ""
    money = f"{about}{estimate(f.cost_per_mtok).figure}" if f.cost_per_mtok else "-"
    at = f" at {tariff.per_kwh:g} per kWh" if tariff else ""
    hardware = f", {significant(f.hardware_per_mtok, 3)} of it hardware" if f.hardware_per_mtok is not None else ""
    yield f"money    {money} per million tokens{at}{hardware if f.cost_per_mtok else ''}"
    if f.estimated or f.cost_estimated:
        yield f"{ABOUT} is an estimate: a model or a stated efficiency, no measurement at the wall."


def _limit(cost: LimitCost, answer: Answer) -> Iterator[str]:
    check = next((c for c in answer.checks if c.option == cost.option), None)
    name = f"{cost.option} {_bound(cost.metric, cost.limit)}"
    close = " The pick is within its own error of it." if check and check.close else ""
    if cost.label is None:
        yield f"{name}: without it alone there would still be no answer."
    elif cost.same:
        yield f"{name}: costs nothing, the answer is the same without it.{close}"
    else:
        better = f" ({_difference(cost.there)})" if cost.there else ""
        yield f"{name}: without it {_plain(cost.label)} would win{better}.{close}"


def _nearest(found: Nearest) -> Iterator[str]:
    missed = [c for c in found.checks if not c.ok]
    lines = [_miss(c) for c in missed]
    unknown = sum(c.miss is None for c in missed)
    besides = f", and {unknown} of its figures {'is' if unknown == 1 else 'are'} not known" if unknown else ""
    lines.append(f"In all it misses by {found.miss:.1%}, the sum of each miss over its limit{besides}.")
    yield from _section(f"Nearest: {_plain(found.choice.label)}", lines)


def _miss(c: Check) -> str:
    limit = _bound(c.metric, c.limit)
    if c.value is None:
        return f"{c.option}: {c.metric} is not known, the limit is {limit}"
    return f"{c.option}: {c.metric} {_value(c.metric, c.value)}, the limit is {limit}: misses by {c.miss:.1%} of it"


def _tariff(found: TariffRange | None, decides: bool, per_kwh: float) -> str:
    if found is None:
        return "No file's cost is known, so nothing can be said of it."
    upto = f"to {found.high:.6g}" if found.high is not None else "upward"
    text = f"{_plain(found.label)} is the cheapest allowed file from {found.low:.6g} {upto} per kWh."
    text += f" Below, {_plain(found.below)} follows." if found.below else ""
    text += f" Above, {_plain(found.above)} follows." if found.above else ""
    if decides:
        return text
    return f"The answer does not depend on it, as cost is not the goal. At {per_kwh:g} per kWh: {text}"


def _difference(d: Difference) -> str:
    values = f"{d.metric} {_value(d.metric, d.other)} for {_value(d.metric, d.pick)}"
    return values + _change(d) + ("" if d.apart or d.pick == d.other else ", not told apart")


def _change(d: Difference) -> str:
    """The other over the pick: in percent, or as a factor where that is easier to read."""
    if not d.pick or not d.other:
        return ""
    ratio = d.other / d.pick
    if not 1 / 3 < ratio < 3:
        return f" ({ratio:.2g} times)"
    return f" ({ratio - 1:+.{1 if abs(ratio - 1) < 0.1 else 0}%})"


def _value(metric: str, value: float) -> str:
    from edgeq.report.figures import significant

    return _size(round(value)) if metric in _SIZES else significant(value, 3)


def _bound(metric: str, limit: float) -> str:
    return _value(metric, limit) if metric in _SIZES else f"{limit:g}"


def _size(n_bytes: int) -> str:
    from edgeq.report.figures import size, size_unit

    unit = size_unit(n_bytes)
    return f"{size(n_bytes, unit)} {unit[1]}"


def _notes(title: str, notes: Sequence[Note]) -> Iterator[str]:
    yield from _section(title, [_plain(f"{note.text} {note.hint}") for note in notes])


def _section(title: str, lines: Sequence[str], hang: int = 2) -> Iterator[str]:
    if lines:
        yield ""
        yield from _wrapped(f"{title}:", "")
        for line in lines:
            yield from _wrapped(line, "  ", " " * hang)


def _wrapped(text: str, indent: str = "  ", hang: str = "  ") -> list[str]:
    import textwrap

    return textwrap.wrap(
        text, _WIDTH, initial_indent=indent, subsequent_indent=indent + hang if indent else "", break_on_hyphens=False
    )


def _plain(text: str) -> str:
    from edgeq.report.rows import plain

    return plain(text)
