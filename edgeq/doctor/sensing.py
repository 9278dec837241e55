"""What each sensor can do here: read for a few seconds, as fast as it is worth."""

from __future__ import annotations

from edgeq import stats
from edgeq.access import Access
from edgeq.doctor.finding import Reading, SensorFinding
from edgeq.instruments import Instruments
from edgeq.recorder import Recorder
from edgeq.records import Channel, Trace

_SECONDS = 3.0
_PERIOD_S = 0.005


def sensing(found: Instruments, access: Access) -> tuple[SensorFinding, ...]:
    """Usable sensors with what was measured of them, then those that are denied, then the silent and absent ones."""
    for sensor in found.sensors.values():
        sensor.period_s = _PERIOD_S  # to see how often they change, not how often they are worth reading
    recorder = Recorder(found.sensors, access, _PERIOD_S)
    end_ns = access.clock() + round(_SECONDS * 1e9)
    while found.sensors and access.clock() < end_ns:
        recorder.sample()
        access.sleep(_PERIOD_S)
    costs = {s.sensor: s.read_s / s.n_reads for s in recorder.sampling() if s.n_reads}
    traces = {t.channel: t for t in recorder.traces()}
    usable = [
        SensorFinding(
            name, "usable", read_s=costs.get(name), readings=tuple(_reading(c, traces.get(c)) for c in sensor.channels)
        )
        for name, sensor in found.sensors.items()
    ]
    denied = [SensorFinding(name, "denied", e.text, e.hint) for name, e in found.denied.items()]
    # What the profile describes and nothing answers for is no sensor that happens not to be here.
    asked = {"meter"} if access.profile.meter else set()
    absent = [
        SensorFinding(name, "silent" if name in asked else "absent", e.text, e.hint) for name, e in found.absent.items()
    ]
    return (*usable, *denied, *absent)


def _reading(channel: Channel, trace: Trace | None) -> Reading:
    t_ns, values = stats.samples(trace) if trace else (None, None)
    seen = stats.character(t_ns, values, channel.kind) if t_ns is not None and values is not None else None
    return Reading(
        channel=channel.name,
        quantity=channel.quantity,
        unit=channel.unit,
        scope=channel.scope,
        kind=channel.kind,
        estimated=channel.estimated,
        value=float(values[-1]) if values is not None else None,
        update_period_s=channel.update_period_s,
        measured_period_s=seen.update_period_s if seen else None,
        lsb=channel.lsb,
        measured_lsb=seen.lsb if seen else None,
        noise=seen.noise if seen else None,
        accuracy=channel.accuracy,
        source=channel.source,
    )
