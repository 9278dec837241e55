"""Energy per token of each test, at every scope that was measured, and which of them is the headline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from edgeq import stats
from edgeq.records import BenchRecord, Channel, Energy, Estimate, Note, Phase, Trace, TypesRecord
from edgeq.stats import PhaseEnergy, Source, Window

# A counter that is finer than this share of what it counted beats integrating samples of power.
_FINE = 0.005
# A scope that shows clearly less power than one inside it does not see what it should.
_LESS = 0.95


class View(NamedTuple):
    """What is shown as one figure: the channels of one source, or of two that lie side by side."""

    scope: str
    source: str
    estimated: bool
    channels: tuple[Channel, ...]
    # A counter of the same energy, to be used instead where it is fine enough.
    counter: Channel | None = None


def energies(record: BenchRecord | TypesRecord, traces: Sequence[Trace]) -> tuple[tuple[Energy, ...], list[Note]]:
    """(one result per test and scope, the headline's scope first; what is to be said about them)."""
    by_channel = {t.channel: t for t in traces}
    faults = {s.sensor: s.fault for s in record.sampling if s.fault}
    found: dict[View, dict[str, Energy]] = {}
    drifts: dict[View, dict[str, None]] = {}
    for view in views([t.channel for t in traces]):
        found[view], drifts[view] = {}, {}
        for test in dict.fromkeys(p.test for p in record.phases if p.timed and p.test):
            timed = stats.timed(record, test)
            result, drift = _energy(view, test, timed, record.phases, by_channel, faults)
            found[view][test] = result
            drifts[view] |= dict.fromkeys([drift] if drift else [])
    notes = list(_dismiss(found))
    headline = next((v for v, tests in found.items() if any(e.gross_j_per_token for e in tests.values())), None)
    if headline:
        notes += [Note("idle", f"At scope {headline.scope}: {drift}") for drift in drifts[headline]]
    results = [
        msgspec.structs.replace(e, headline=True) if view == headline else e
        for view in sorted(found, key=lambda v: v != headline)
        for e in found[view].values()
    ]
    return tuple(results), notes


def views(channels: Iterable[Channel]) -> list[View]:
    """Everything that can be shown as one figure, by preference: measured before estimated, wide before narrow."""
    channels = list(channels)
    ordered = stats.sources(channels)
    found = [_view(s, channels) for s in ordered]
    first = next((s for s in ordered if s.scope in ("package", "gpu")), None)
    if first and (other := stats.beside(first, ordered)):
        both = sorted((first, other), key=lambda s: s.scope, reverse=True)
        found.insert(
            ordered.index(first),
            View(
                " + ".join(s.scope for s in both),
                " + ".join(s.name for s in both),
                any(s.estimated for s in both),
                tuple(c for s in both for c in s.channels),
            ),
        )
    return found


def _view(source: Source, channels: Sequence[Channel]) -> View:
    counters = [
        c
        for c in channels
        if (c.sensor, c.scope, c.quantity, c.summand) == (source.sensor, source.scope, "energy", False)
    ]
    alone = source.quantity == "power" and len(source.channels) == 1 and len(counters) == 1
    return View(source.scope, source.name, source.estimated, source.channels, counters[0] if alone else None)


def _energy(
    view: View,
    test: str,
    timed: Sequence[Phase],
    phases: Sequence[Phase],
    by_channel: Mapping[Channel, Trace],
    faults: Mapping[str, str],
) -> tuple[Energy, str]:
    windows = [Window(p.t0_ns, p.t1_ns) for p in timed]
    before, after = _idle(phases, "idle", 0), _idle(phases, "idle", 1)
    loaded = [w for rep in (0, 1) if (w := _idle(phases, "loaded", rep))]
    n_tokens = sum(p.n_tokens for p in timed)

    def of(channels: Sequence[Channel]) -> PhaseEnergy:
        return stats.phase_energy([by_channel[c] for c in channels], windows, before, after, loaded)

    channels, source = view.channels, view.source
    result = of(channels)
    if view.counter is not None and view.counter.lsb is not None:
        counted = of((view.counter,))
        if counted.gross_j and view.counter.lsb <= _FINE * counted.gross_j.value:
            channels, source = (view.counter,), f"{view.counter.sensor}: {view.counter.name}"
            result = counted
    missing = result.missing
    said = sorted({faults[c.sensor] for c in view.channels if c.sensor in faults})
    if missing and said:
        missing = f"{missing} The sensor said: {' '.join(said)}"
    energy = Energy(
        test=test,
        scope=view.scope,
        source=source,
        estimated=view.estimated,
        headline=False,
        n_tokens=n_tokens,
        window_s=result.window_s,
        gross_j_per_token=_over(result.gross_j, n_tokens),
        net_j_per_token=_over(result.net_j, n_tokens),
        mean_w=result.mean_w,
        max_w=result.max_w,
        idle_w=result.idle_w,
        loaded_idle_w=result.loaded_idle_w,
        missing=missing,
        limits_known=all(c.gain_error is not None for c in channels),
    )
    return energy, result.drift


def _idle(phases: Sequence[Phase], kind: str, rep: int) -> Window | None:
    return next((Window(p.t0_ns, p.t1_ns) for p in phases if p.kind == kind and p.rep == rep), None)


def _over(joules: Estimate | None, n_tokens: int) -> Estimate | None:
    if joules is None:
        return None
    return Estimate(joules.value / n_tokens, None if joules.se is None else joules.se / n_tokens)


def _dismiss(found: dict[View, dict[str, Energy]]) -> Iterable[Note]:
    """Take the figures from scopes that show less power than what lies inside them: they are not wired."""
    for view in list(found):
        inside = [v for v in found if _width(v) > _width(view) and not v.estimated]
        for test, e in found[view].items():
            narrower = [n for v in inside if (n := found[v][test]).mean_w]
            worst = max(narrower, key=lambda n: n.mean_w.value if n.mean_w else 0.0, default=None)
            if e.mean_w and worst and worst.mean_w and e.mean_w.value < _LESS * worst.mean_w.value:
                text = (
                    f"{view.source} shows {e.mean_w.value:.1f} W for the whole {view.scope}, less than the "
                    f"{worst.mean_w.value:.1f} W of {worst.source} inside it: it is left out."
                )
                found[view] = {t: _emptied(x, text) for t, x in found[view].items()}
                yield Note("implausible-scope", text)
                break


def _width(view: View) -> int:
    return min(stats.WIDTH[c.scope] for c in view.channels)


def _emptied(e: Energy, missing: str) -> Energy:
    return Energy(e.test, e.scope, e.source, e.estimated, False, e.n_tokens, e.window_s, missing=missing)
