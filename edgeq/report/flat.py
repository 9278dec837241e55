"""What a file costs on its device as flat columns: energy, money, memory, and the device's condition.

Columns stand only for what some row has. Energies at several scopes get columns of their own, with the scope in
their names: adding or mixing them would be wrong.
"""

from __future__ import annotations

from edgeq.records import Cost, Energy, Estimate, Row, Speed, Summary
from edgeq.report import cost, energy, memory
from edgeq.report.rows import speed_of

Value = str | int | float | bool | None
Flat = dict[str, Value]

TARIFF = ("per_kwh", "efficiency", "device_price", "life_h", "utilization")


def pair(name: str, unit: str, measured: Estimate | None) -> Flat:
    """A value and its standard error."""
    return {
        f"{name}{unit}": measured.value if measured else None,
        f"{name}_se{unit}": measured.se if measured else None,
    }


def steadiness(summary: Summary, test: str, speed: Speed | None) -> Flat:
    """95 % interval of the rate and what was wrong with the repetitions."""
    found = [other for row in summary.rows if (other := speed_of(row, test))]
    flat: Flat = {}
    if any(other.ci95_tps for other in found):
        low, high = speed.ci95_tps if speed and speed.ci95_tps else (None, None)
        flat |= {f"{test}_ci95_low_tps": low, f"{test}_ci95_high_tps": high}
    if any(other.state for other in found):
        flat[f"{test}_state"] = ", ".join(speed.state) if speed else None
    return flat


def consumption(summary: Summary, row: Row) -> Flat:
    """Energy of every test at every scope, and costs."""
    flat: Flat = {}
    for test in energy.tests(summary):
        first = energy.headline(row, test)
        flat[f"{test}_energy_headline_scope"] = first.scope if first else None
        own = dict(_numbered(row, test))
        # Columns are the same for all rows, in the order in which the scopes first appear.
        for name in dict.fromkeys(name for other in summary.rows for name, _ in _numbered(other, test)):
            flat |= _energy(f"{test}_energy_{name}", own.get(name))
    for test in cost.tests(summary):
        flat |= _cost(f"{test}_cost", cost.of_test(row, test))
    if cost.tests(summary) and summary.tariff:
        flat |= {f"tariff_{name}": getattr(summary.tariff, name) for name in TARIFF}
    return flat


def _numbered(row: Row, test: str) -> list[tuple[str, Energy]]:
    """Energies by scope; a second sensor at the same scope gets a number."""
    found: dict[str, Energy] = {}
    for one in energy.of_test(row, test):
        name, n = one.scope.replace(" + ", "_") or "unknown", 1
        while (key := f"{name}_{n}" if n > 1 else name) in found:
            n += 1
        found[key] = one
    return list(found.items())


def _energy(name: str, found: Energy | None) -> Flat:
    return {
        f"{name}_source": found.source if found else None,
        f"{name}_estimated": found.estimated if found else None,
        f"{name}_tokens": found.n_tokens if found else None,
        f"{name}_window_s": found.window_s if found else None,
        **pair(f"{name}_gross", "_j_per_token", found.gross_j_per_token if found else None),
        **pair(f"{name}_net", "_j_per_token", found.net_j_per_token if found else None),
        **pair(f"{name}_mean", "_w", found.mean_w if found else None),
        f"{name}_max_w": found.max_w if found else None,
        **pair(f"{name}_idle", "_w", found.idle_w if found else None),
        **pair(f"{name}_loaded_idle", "_w", found.loaded_idle_w if found else None),
        f"{name}_missing": found.missing if found else None,
    }


def _cost(name: str, found: Cost | None) -> Flat:
    return {
        **pair(f"{name}_energy", "_per_mtok", found.energy_per_mtok if found else None),
        f"{name}_hardware_per_mtok": found.hardware_per_mtok if found else None,
        f"{name}_estimated": found.estimated if found else None,
        f"{name}_basis": found.basis if found else None,
    }


def device(summary: Summary, row: Row) -> Flat:
    """Memory by kind, throttling, temperature, and what sampling took."""
    rows = list(summary.rows)
    flat: Flat = {}
    if any(other.memory for other in rows):
        flat |= {kind.field: memory.value(row, kind.field) for kind in memory.KINDS}
        flat |= {f"{test}_kv_bytes": memory.kv(row, test) for test in memory.tests(rows)}
    if any(other.throttling for other in rows):
        flat["throttling"] = row.throttling.verdict if row.throttling else None
        flat["throttling_share"] = row.throttling.share if row.throttling else None
        flat["throttling_reason"] = row.throttling.reason if row.throttling else None
    if any(other.temperature_max_c is not None for other in rows):
        flat["temperature_max_c"] = row.temperature_max_c
    if any(other.sampler_share is not None for other in rows):
        flat["sampler_share_of_core"] = row.sampler_share
    return flat
