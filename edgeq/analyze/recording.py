"""A recording on its own: how long, how much energy, how hot. Without phases there are no tokens to share it among."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from edgeq import stats
from edgeq.analyze.energy import views
from edgeq.records import Channel, Trace
from edgeq.stats import Window


class Recorded(msgspec.Struct, frozen=True):
    """One channel, or the sum of those that make up one scope (``parts`` of them), over the whole recording."""

    name: str
    quantity: str
    unit: str
    scope: str
    estimated: bool
    parts: int
    seconds: float
    mean: float | None
    highest: float | None
    joules: float | None
    missing: str


def recording(traces: Sequence[Trace]) -> list[Recorded]:
    """Totals of each scope first, by the rules of a bench: scopes that overlap are not added. Then every channel."""
    by_channel = {t.channel: t for t in traces}
    totals = [
        _recorded([by_channel[c] for c in v.channels], v.source, v.scope, v.estimated)
        for v in views(by_channel)
        if len(v.channels) > 1
    ]
    return totals + [_recorded([t], t.channel.name, t.channel.scope, t.channel.estimated) for t in traces]


def _recorded(traces: Sequence[Trace], name: str, scope: str, estimated: bool) -> Recorded:
    channel: Channel = traces[0].channel
    samples = [stats.samples(t) for t in traces]
    t0, t1 = max(t[0] for t, _ in samples), min(t[-1] for t, _ in samples)
    seconds = (int(t1) - int(t0)) / 1e9
    fixed = (name, channel.quantity, channel.unit, scope, estimated, len(traces), seconds)
    if channel.quantity in ("energy", "power"):
        reading = stats.total([stats.integrate(t, [Window(int(t0), int(t1))]) for t in traces])
        mean = None if reading.joules is None or not seconds else reading.joules / seconds
        return Recorded(*fixed, mean, reading.max_w, reading.joules, reading.missing)
    values = stats.known(traces[0])[1]
    if channel.kind == "counter":
        return Recorded(*fixed, None, float(values[-1] - values[0]) if len(values) else None, None, "")
    return Recorded(
        *fixed, float(values.mean()) if len(values) else None, float(values.max()) if len(values) else None, None, ""
    )
