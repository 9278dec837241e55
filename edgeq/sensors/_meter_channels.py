"""What the channels of an external meter are, live or from a recorded file."""

from __future__ import annotations

from typing import Literal

from edgeq.records import Channel, Meter
from edgeq.sensors._meter_parse import Decoder


def channels(meter: Meter, decoder: Decoder, source: str, update_period_s: float | None) -> tuple[Channel, ...]:
    """Power, energy, or power and then energy.

    Where a meter gives both, the power is the summand: the energy of a plug is often in steps of 1 Wh = 3600 J, and
    whether that is fine enough is only known with the energy of a window. The energy's ``lsb`` is there to tell.
    """
    found = []
    power = "power_w" in meter.fields
    accuracy = _declared(meter)
    clock: Literal["host", "device"] = "device" if meter.time == "field" else "host"
    if power:
        found.append(
            Channel(
                name=f"{meter.name} power",
                quantity="power",
                kind="average" if meter.window_s > 0 else "gauge",
                unit="W",
                scope=meter.scope,
                update_period_s=update_period_s,
                window_s=meter.window_s or None,
                lsb=meter.lsb_w or decoder.step_w,
                accuracy=accuracy,
                source=source,
                gain_error=meter.gain_error,
                offset_error=meter.offset_error_w,
                clock=clock,
            )
        )
    if any(f.startswith("energy_") for f in meter.fields):
        found.append(
            Channel(
                name=f"{meter.name} energy",
                quantity="energy",
                kind="counter",
                unit="J",
                scope=meter.scope,
                update_period_s=update_period_s,
                lsb=decoder.step_j,
                accuracy=accuracy,
                source=source,
                summand=not power,
                gain_error=meter.gain_error,
                clock=clock,
            )
        )
    return tuple(found)


def _declared(meter: Meter) -> str | None:
    limits = []
    if meter.gain_error is not None:
        limits.append(f"±{meter.gain_error * 100:g} % of the reading")
    if meter.offset_error_w is not None:
        limits.append(f"±{meter.offset_error_w:g} W")
    return f"{' and '.join(limits)}, as declared in the profile" if limits else None
