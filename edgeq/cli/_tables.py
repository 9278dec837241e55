"""Small tables on standard output that are no report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from edgeq.analyze import Recorded
from edgeq.quantize import Prediction
from edgeq.records import Gguf

_UNITS = {"J": (1.0, "W"), "degC": (1.0, "°C"), "Hz": (1e-9, "GHz"), "bytes": (2.0**-20, "MiB")}
_NUMBERS = ("bpw", "MiB", "bytes", "on label", "seconds", "mean", "highest", "J")


def wide_console(width: int) -> Console:
    """Standard output as wide as the terminal; in a file or another program's hands, one line a row."""
    screen = Console(highlight=False)
    return screen if screen.is_terminal else Console(highlight=False, width=width)


def files(records: Sequence[Gguf]) -> None:
    """One line per file: type, effective bpw, size, on-label share, types by share of parameters."""
    table = _table("file", "type", "bpw", "MiB", "on label", "tensor types by share of parameters")
    for r in records:
        on_label = "-" if r.on_label is None else f"{r.on_label:.0%}"
        shares = _shares({t: n / r.n_params for t, n in r.tensor_types.items()})
        table.add_row(Path(r.path).name, r.file_type, f"{r.bpw:.2f}", f"{r.n_bytes / 2**20:.1f}", on_label, shares)
    Console().print(table)


def predictions(source: Gguf, planned: Sequence[Prediction]) -> None:
    """One line per recipe of a dry run: exact size, bpw, and whether an importance matrix is needed."""
    table = _table("recipe", "bpw", "MiB", "bytes", "imatrix")
    for p in planned:
        bpw, mib = p.n_bytes * 8 / source.n_params, p.n_bytes / 2**20
        table.add_row(
            p.recipe.name, f"{bpw:.2f}", f"{mib:.1f}", f"{p.n_bytes}", "needed" if p.needs_imatrix else "optional"
        )
    Console().print(table)


def recordings(found: Sequence[Recorded]) -> None:
    """One line per channel of a recording, totals first; where there is no energy, the reason below."""
    table = _table("channel", "scope", "seconds", "mean", "highest", "unit", "J")
    for r in found:
        mark = "≈" if r.estimated else ""
        scale, unit = _UNITS.get(r.unit, (1.0, r.unit))
        values = [r.mean and r.mean * scale, r.highest and r.highest * scale, r.joules]
        cells = ["-" if v is None else f"{mark}{v:,.2f}" for v in values]
        table.add_row(r.name, r.scope, f"{r.seconds:.1f}", cells[0], cells[1], unit, cells[2])
    Console().print(table)
    for r in found:
        if r.missing:
            Console().print(f"{r.name}: {r.missing}", markup=False, highlight=False)


def _shares(shares: dict[str, float]) -> str:
    return ", ".join(f"{share:.0%} {t}" for t, share in sorted(shares.items(), key=lambda x: -x[1]) if share >= 0.005)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for i, name in enumerate(columns):
        table.add_column(name, justify="right" if name in _NUMBERS else "left", no_wrap=i == 0)
    return table
