"""Recordings that carry another clock's times, moved to the clock of the phases."""

from __future__ import annotations

from collections.abc import Iterable

from edgeq import stats
from edgeq.records import BenchRecord, Note, Trace, TypesRecord


def on_host_clock(record: BenchRecord | TypesRecord) -> tuple[list[Trace], list[Note]]:
    """(all traces that have a place on the clock of the phases, notes on those that have none).

    Traces of one recording share a clock: the strongest trace of power or energy among them is aligned by the load
    bursts, and what comes out holds for all.
    """
    bursts = [(p.t0_ns, p.t1_ns) for p in record.phases if p.kind == "sync"]
    traces = [t for t in record.traces if t.channel.clock == "host"]
    recordings: dict[tuple[str, str], list[Trace]] = {}
    for t in record.traces:
        if t.channel.clock == "device":
            recordings.setdefault((t.channel.sensor, t.channel.source), []).append(t)
    notes = []
    for (sensor, _), together in recordings.items():
        powers = [t for t in together if t.channel.quantity in ("energy", "power")]
        if not powers:
            continue
        alignment = stats.align(_strongest(powers), bursts)
        if alignment.ok:
            traces += [stats.shifted(t, alignment) for t in together]
        else:
            text = f"{sensor} has a clock of its own, which could not be aligned: {alignment.text}."
            notes.append(
                Note("not-aligned", text, "Bench with --sync, and record from before to after the whole bench.")
            )
    return traces, notes


def _strongest(powers: Iterable[Trace]) -> Trace:
    """The one that grows or varies the most, summands first."""

    def strength(t: Trace) -> tuple[bool, float]:
        values = stats.known(t)[1]
        return t.channel.summand, float(values.max() - values.min()) if len(values) else 0.0

    return max(powers, key=strength)
