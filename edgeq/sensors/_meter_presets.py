"""A user's description of a meter, made complete and checked: the error names the key that is wrong."""

from __future__ import annotations

import math
import re

import msgspec

from edgeq.errors import InputError
from edgeq.records import Meter

# What a field is multiplied with to be in watts, joules or seconds.
UNITS = {"power_w": 1.0, "energy_j": 1.0, "energy_wh": 3600.0, "energy_kwh": 3.6e6, "t_s": 1.0}

# https://shelly-api-docs.shelly.cloud/gen2/ComponentsAndServices/Switch (Gen2 and later: apower W, aenergy.total Wh),
# https://tasmota.github.io/docs/Commands (Status 8: ENERGY.Power W, ENERGY.Total kWh). Both update once a second.
_PRESETS = {
    "shelly": ("/rpc/Switch.GetStatus?id=0", {"power_w": "/apower", "energy_wh": "/aenergy/total"}),
    "tasmota": (
        "/cm?cmnd=Status%208",
        {"power_w": "/StatusSNS/ENERGY/Power", "energy_kwh": "/StatusSNS/ENERGY/Total"},
    ),
}
_PLUG_UPDATE_S = 1.0

_NEEDS = {"command": ("argv",), "csv": ("path",), "http": ("url",), "mqtt": ("host", "topic")}
_NEEDED_FOR = {
    "argv": "the command that prints one record a line",
    "path": "the file that the meter's program appends to",
    "url": "the address that answers with one record",
    "host": "the address of the broker, like 192.168.1.50",
    "topic": "the topic that the meter publishes to",
}


def complete(meter: Meter) -> tuple[Meter, str]:
    """The description with everything filled in that its preset and transport imply, and the transport.

    Raises InputError where something is missing or can't be.
    """
    meter = _filled(meter)
    if meter.transport is None:
        raise _wrong("transport", "is missing", f"Use one of {', '.join(_NEEDS)}, or a preset: {', '.join(_PRESETS)}.")
    for key in _NEEDS[meter.transport]:
        if not getattr(meter, key):
            raise _wrong(key, "is missing", f"The transport {meter.transport} needs {_NEEDED_FOR[key]}.")
    if meter.transport == "http" and not meter.url.startswith(("http://", "https://")):
        raise _wrong("url", f"is {meter.url!r}", "It begins with http:// or https://.")
    if meter.transport == "mqtt" and set(meter.topic) & set("+#"):
        raise _wrong("topic", f"is {meter.topic!r}", "Name the one topic of this meter, without wildcards.")
    if meter.transport in ("http", "mqtt") and meter.format == "csv":
        raise _wrong("format", "is csv", f"The transport {meter.transport} carries json or regex.")
    _check_numbers(meter)
    check_fields(meter)
    return meter, meter.transport


def check_fields(meter: Meter) -> None:
    """Raises InputError unless the fields name at least one of power and energy, in the way of the format."""
    energies = [f for f in meter.fields if f.startswith("energy_")]
    for name, where in meter.fields.items():
        if name not in UNITS:
            raise _wrong(f"fields.{name}", "is no field", f"Valid are: {', '.join(UNITS)}.")
        if meter.format == "json" and not where.startswith("/"):
            raise _wrong(f"fields.{name}", f"is {where!r}", "A JSON pointer begins with a slash: /ENERGY/Power.")
    if "power_w" not in meter.fields and not energies:
        raise _wrong("fields", "is missing", "Say where the power (power_w) or the energy (energy_wh) stands.")
    if len(energies) > 1:
        raise _wrong("fields", f"has both {' and '.join(energies)}", "Name the energy once.")
    if meter.time == "field" and "t_s" not in meter.fields:
        raise _wrong("fields.t_s", "is missing", "With `time: field`, say where the meter's own time stands.")
    if meter.format == "regex":
        _check_pattern(meter)


def _filled(meter: Meter) -> Meter:
    if meter.preset is not None:
        path, fields = _PRESETS[meter.preset]
        if not meter.host or "/" in meter.host:
            raise _wrong("host", f"is {meter.host!r}" if meter.host else "is missing",
                         f"The preset {meter.preset} needs the address of the plug, like 192.168.1.50.")  # fmt: skip
        address = meter.host if meter.port is None else f"{meter.host}:{meter.port}"
        meter = msgspec.structs.replace(
            meter,
            transport="http",
            format="json",
            url=f"http://{address}{path}",
            fields=fields,
            update_period_s=meter.update_period_s or max(_PLUG_UPDATE_S, meter.period_s),
        )
    if meter.format is None:
        meter = msgspec.structs.replace(meter, format="csv" if meter.transport == "csv" else "json")
    return meter


def _check_numbers(meter: Meter) -> None:
    for key in ("period_s", "update_period_s", "stale_after_s"):
        value = getattr(meter, key)
        if value is not None and not (math.isfinite(value) and value > 0):
            raise _wrong(key, f"is {value:g}", "It is a time in seconds, more than 0.")
    for key in ("window_s", "latency_s", "gain_error", "offset_error_w", "lsb_w"):
        value = getattr(meter, key)
        if value is not None and not (math.isfinite(value) and value >= 0):
            what = "a time in seconds" if key.endswith("_s") else "the maker's limit"
            raise _wrong(key, f"is {value:g}", f"It is {what}, 0 or more.")
    update_s = max(meter.update_period_s or 0.0, meter.period_s if meter.transport == "http" else 0.0)
    if meter.stale_after_s <= update_s:
        raise _wrong("stale_after_s", f"is {meter.stale_after_s:g}", f"A new value comes every {update_s:g} s only.")


def _check_pattern(meter: Meter) -> None:
    if not meter.pattern:
        raise _wrong("pattern", "is missing", "The format regex needs the pattern whose groups are the fields.")
    try:
        pattern = re.compile(meter.pattern)
    except re.error as e:
        raise _wrong("pattern", f"is not a regular expression ({e})", "It is one of Python's `re`.") from None
    for name, group in meter.fields.items():
        if group not in pattern.groupindex and group not in map(str, range(1, pattern.groups + 1)):
            raise _wrong(f"fields.{name}", f"is {group!r}", "It is the name or the number of a group of the pattern.")


def _wrong(key: str, what: str, hint: str) -> InputError:
    return InputError(f"meter.{key} {what}.", hint)
