"""edgeq compare: one measurement against an earlier one, with limits that fail a build."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeq.cli._options import echo_json, json_option

if TYPE_CHECKING:
    from rich.table import Table

    from edgeq.analyze.compare import Side
    from edgeq.records.compare import Change, Check, Compared, ComparisonReport, Limit

_UNITS = {"bytes": (2.0**-20, "MiB"), "share": (100.0, "%")}
# Of a percentage: a hundredth of a percent is less than anyone decides by.
_DECIMALS = 2
_WORDS = {"kld": "KLD", "top1": "top-1", "ppl": "PPL", "ram": "peak RSS"}


class Limits(click.ParamType):  # type: ignore[type-arg]
    """A comma-separated list of quantities and what they may change by: ``tps:-3%,kld:+5%``."""

    name = "QUANTITY:LIMIT,..."

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Limit, ...]:
        if isinstance(value, tuple):
            return value
        parts = [part.strip() for part in str(value).split(",") if part.strip()]
        if not parts:
            self.fail("There is no limit in it. Write tps:-3%,kld:+5%.", param, ctx)
        return tuple(self._limit(part, param, ctx) for part in parts)

    def _limit(self, part: str, param: click.Parameter | None, ctx: click.Context | None) -> Limit:
        from edgeq.analyze.compare import QUANTITIES, parse_limit
        from edgeq.errors import InputError
        from edgeq.plugins import nearest

        name, _, limit = part.partition(":")
        quantity = next((q for q in QUANTITIES if q == name.strip()), None)
        if quantity is None:
            self.fail(f"There is no quantity {name.strip()!r}. {nearest(name.strip(), QUANTITIES)}", param, ctx)
        try:
            return parse_limit(quantity, limit)
        except InputError as e:
            self.fail(f"{e.text} {e.hint}", param, ctx)


@click.command("compare")
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@click.option(
    "--fail-on",
    "limits",
    type=Limits(),
    default=(),
    help="Exit with status 1 where a quantity is worse by more than this, with its whole interval. Quantities: "
    "tps:-3%, j_per_token:+5%, ram:+5%, kld:+5%, ppl:+1%, top1:-1pp.",
)
@json_option
def command(a: Path, b: Path, limits: tuple[Limit, ...], as_json: bool) -> None:
    """Compare B with the baseline A: folders of runs or records, or single records (bench-*, eval-*).

    Each difference has a 95 % interval; what lies within it is no difference. Where more than one of file, build,
    settings and device has changed, speed, memory and energy are not compared. A limit is broken where the whole
    interval lies beyond it; a limit on what could not be compared ends with status 3.
    """
    from edgeq.analyze.compare import check, compare
    from edgeq.errors import InputError

    report = check(compare(_side(a), _side(b)), limits)
    if as_json:
        echo_json(report)
    else:
        _show(report, a, b)
    verdicts = {c.verdict for c in report.checks}
    if "failed" in verdicts:
        click.get_current_context().exit(1)
    if "not comparable" in verdicts:
        missing = [_limit(c.limit) for c in report.checks if c.verdict == "not comparable"]
        raise InputError(
            f"The gate could not decide on {', '.join(missing)}.",
            "Measure again what could not be compared, or leave it out of --fail-on.",
        )


def _side(path: Path) -> Side:
    """The records of a run folder, of a folder of records, or of one file."""
    from edgeq import store
    from edgeq.analyze.compare import Side
    from edgeq.records import BenchRecord, EvalRecord
    from edgeq.run_folder import RunFolder

    kinds = (BenchRecord, EvalRecord)
    files = sorted(p for kind in ("bench", "eval") for p in path.glob(f"{kind}-*.json.gz")) if path.is_dir() else [path]
    if path.is_dir() and not files:
        benches, evals, _ = RunFolder(path).load()
        return Side(benches, evals)
    records = [store.load_any(file, kinds) for file in files]
    return Side([r for r in records if isinstance(r, BenchRecord)], [r for r in records if isinstance(r, EvalRecord)])


def _show(report: ComparisonReport, a: Path, b: Path) -> None:
    """Tables and sentences on standard output."""
    from rich.console import Console

    console = Console(highlight=False)
    console.print(f"A (the baseline) is {a}, B is {b}.", markup=False)
    for pair in report.pairs:
        console.print()
        console.print(_header(pair), markup=False)
        console.print(_table(pair.changes))
    console.print()
    for line in _remarks(report):
        console.print(line, markup=False)
    for result in report.checks:
        console.print(_result(result), markup=False)


def _header(pair: Compared) -> str:
    said = [f"{d.kind} {d.a} → {d.b}" for d in pair.differences]
    if not said:
        return f"{pair.name}: the same thing measured again"
    if len(said) == 1:
        return f"{pair.name}: what differs is the {said[0]}"
    return f"{pair.name}: more than one thing differs: {', '.join(said)}"


def _table(changes: Sequence[Change]) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("quantity", overflow="fold", min_width=14)
    for name in ("A", "B", "change (95 % interval)"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for change in changes:
        scale = _UNITS.get(change.unit, (1.0, ""))[0]
        values = [_number(v, scale, change.estimated) for v in (change.a, change.b)]
        table.add_row(_quantity(change), *values, _change(change), change.verdict)
    return table


def _number(value: float | None, scale: float, estimated: bool) -> str:
    from edgeq.report.figures import ABOUT, NOT_MEASURED, significant

    return NOT_MEASURED if value is None else f"{ABOUT if estimated else ''}{significant(value * scale)}"


def _quantity(change: Change) -> str:
    """The quantity with its unit: ``tg128 t/s``, ``KLD nats``, ``tg128 J/token (board)``."""
    unit = _UNITS.get(change.unit, (1.0, change.unit))[1]
    name = change.test or _WORDS[change.quantity]
    return f"{name} {unit}{f' ({change.scope})' if change.scope else ''}".rstrip()


def _change(change: Change) -> str:
    """In percent, or in percentage points for a share, with as many decimals as the interval supports."""
    from edgeq.report.figures import NOT_MEASURED, error_decimals

    if change.change is None or change.ci95 is None:
        return NOT_MEASURED
    share = change.quantity == "top1"
    value, low, high = (100 * (v if share else v - 1) for v in (change.change.value, *change.ci95))
    quarter = (high - low) / 4
    decimals = min(max(error_decimals(quarter), 0), _DECIMALS) if quarter > 0 else 1
    middle, *ends = (f"{round(v, decimals) + 0.0:+.{decimals}f}" for v in (value, low, high))
    return f"{middle} {'pp' if share else '%'} ({' to '.join(ends)})"


def _remarks(report: ComparisonReport) -> Iterable[str]:
    """Reasons, what was left out, files without a partner, notes."""
    for pair in report.pairs:
        reasons: dict[str, list[str]] = {}
        for change in pair.changes:
            if change.reason:
                reasons.setdefault(change.reason, []).append(_quantity(change))
        for reason, names in reasons.items():
            yield f"Not comparable: {pair.name} {', '.join(names)}: {reason}."
        for change in pair.changes:
            if change.left_out:
                yield f"Left out: {pair.name} {_quantity(change)}: {'; '.join(change.left_out)}."
    if any(change.estimated for pair in report.pairs for change in pair.changes):
        from edgeq.report.figures import ESTIMATED

        yield ESTIMATED
    if report.unpaired:
        yield f"Without a partner: {', '.join(report.unpaired)}."
    for note in report.notes:
        yield f"Note: {note.text} {note.hint}".rstrip()


def _limit(limit: Limit) -> str:
    return f"{limit.quantity}:{limit.allowed * 100:+g}{'pp' if limit.quantity == 'top1' else '%'}"


def _result(result: Check) -> str:
    said = {"passed": "passed", "failed": "FAILED", "not comparable": "could not be decided"}[result.verdict]
    return f"Gate {_limit(result.limit)}: {said}{f' ({result.text})' if result.text else ''}"
