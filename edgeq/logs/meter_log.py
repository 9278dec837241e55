"""What a power meter's own program wrote: a table with a header, or whatever a description of the meter fits."""

from __future__ import annotations

import msgspec

from edgeq.errors import InputError
from edgeq.logs._traces import trace, update_period_s
from edgeq.records import Meter, Trace
from edgeq.sensors._meter_channels import channels
from edgeq.sensors._meter_parse import Decoder, Reading
from edgeq.sensors._meter_presets import check_fields

# Columns whose names leave no doubt about the unit.
_TIMES = ("t_s", "time_s", "time")
_ENERGIES = ("energy_j", "energy_wh", "energy_kwh")


def recognizes(data: bytes) -> bool:
    """Whether the first line names a time and a power or an energy."""
    return len(_obvious_fields(data)) > 1


def parse(data: bytes, name: str, meter: Meter | None) -> tuple[Trace, ...]:
    """Power, energy or both, at the times in the file, ns as they stand there.

    ``meter`` says what the meter saw (``scope``) and, where the columns have other names than time or t_s, power_w,
    energy_j, energy_wh and energy_kwh, which fields to read. A record whose time is not later than that of the one
    before is left out. Raises InputError for a file without times or without a record that can be used.
    """
    if meter is None:
        raise InputError(
            f"Nobody said what the meter of {name} saw.", "Describe it in a profile: `meter: {scope: wall}`."
        )
    meter = _described(meter, data, name)
    decoder = Decoder(meter)
    readings: list[Reading] = []
    times: list[int] = []
    for line in data.decode("utf-8", "replace").splitlines():
        reading = decoder.read(line)
        if reading is not None and reading.t_ns is not None and (not times or reading.t_ns > times[-1]):
            readings.append(reading)
            times.append(reading.t_ns)
    if not readings:
        bad = f": the first line was {decoder.first_bad!r}" if decoder.n_bad else ""
        raise InputError(f"{name} holds no record that can be used{bad}.", f"Expected was {decoder.expected()}.")
    columns = [
        [v for v in values if v is not None]
        for values in ([r.power_w for r in readings], [r.energy_j for r in readings])
    ]
    described = channels(meter, decoder, name, meter.update_period_s or update_period_s(times))
    return tuple(
        trace(msgspec.structs.replace(channel, sensor="meter"), times, values)
        for channel, values in zip(described, filter(None, columns), strict=True)
    )


def _described(meter: Meter, data: bytes, name: str) -> Meter:
    fields = meter.fields or _obvious_fields(data)
    if "t_s" not in fields:
        raise InputError(f"{name} does not say when its values were taken.", "Say where: `meter.fields.t_s`.")
    meter = msgspec.structs.replace(meter, fields=fields, format=meter.format or "csv", time="field")
    check_fields(meter)
    return meter


def _obvious_fields(data: bytes) -> dict[str, str]:
    header = data.split(b"\n", 1)[0].decode("utf-8-sig", "replace").strip()
    delimiter = max(",;\t", key=header.count)
    columns = [c.strip().strip('"') for c in header.split(delimiter)]
    time = [("t_s", n) for n in _TIMES if n in columns][:1]
    power = [(n, n) for n in ("power_w",) if n in columns]
    energy = [(n, n) for n in _ENERGIES if n in columns][:1]
    return dict(time + power + energy)
