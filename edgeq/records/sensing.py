"""Sensors: what their channels mean, what they gave, and how a user describes a meter."""

from __future__ import annotations

from typing import Literal

import msgspec

from edgeq.records.base import Record

# From the outside in. A wider scope contains the narrower ones of the same machine, so they are never added; `package`
# and `gpu` lie side by side. `process` and `system` are scopes of memory.
Scope = Literal["wall", "board", "module", "package", "gpu", "rail", "process", "system"]


class Channel(Record, frozen=True):
    """One quantity that a sensor gives, with everything needed to integrate it correctly.

    Units are always J, W, bytes, degC, Hz; a throttle channel counts ``events`` or ``s`` (kind counter) or is 1 while
    throttling goes on and 0 otherwise (kind gauge, unit ``flag``), and its name is the reason.

    ``counter``: grows by what was used. ``gauge``: the value at one moment. ``average``: the mean over the last
    ``window_s`` before the device's last update, which happens every ``update_period_s``.
    ``summand``: counts into the total of its sensor at its scope; False for what is contained in another channel.
    ``gain_error`` (share of the reading) and ``offset_error`` (in the unit) are the maker's limits, ``accuracy`` says
    where they are from. ``wraps_at``: the counter restarts from 0 after this value; ``max_w``: more than this can't
    be, which is how a wrap is told from a reset. ``estimated``: a model's output, named in ``accuracy``.
    ``clock``: whose time stamps the samples carry.
    """

    name: str
    quantity: Literal["energy", "power", "memory", "temperature", "frequency", "throttle"]
    kind: Literal["counter", "gauge", "average"]
    unit: str
    scope: Scope
    update_period_s: float | None = None
    window_s: float | None = None
    lsb: float | None = None
    accuracy: str | None = None
    wraps_at: float | None = None
    estimated: bool = False
    sensor: str = ""
    source: str = ""
    summand: bool = True
    gain_error: float | None = None
    offset_error: float | None = None
    max_w: float | None = None
    clock: Literal["host", "device"] = "host"


class Trace(Record, frozen=True):
    """What one channel gave: samples ``(t_ns, value)`` on CLOCK_MONOTONIC, int64 and float64 little-endian.

    Counters are raw, wraps included. A value of NaN says that at this time the reading held no truth (a battery that
    was being charged, a machine that was suspended); a reading that failed leaves no sample.
    """

    channel: Channel
    t_ns_i64: bytes
    value_f64: bytes


class Sampling(Record, frozen=True):
    """What it cost to sample one sensor, and what went wrong with it (``fault``: the first failure, in words)."""

    sensor: str
    period_s: float
    n_reads: int
    n_faults: int
    read_s: float
    fault: str = ""


class PmicModel(Record, frozen=True):
    """Power of a whole board from the sum of its rails: gain * sum + offset_w, a fit and therefore an estimate."""

    gain: float
    offset_w: float
    name: str = ""


class Meter(Record, frozen=True):
    """An external power meter as its user describes it.

    ``preset`` (shelly, tasmota) fills in transport, format and fields. ``fields`` maps power_w, energy_j, energy_wh,
    energy_kwh and t_s to a JSON pointer, a CSV column or a group of ``pattern``. ``time``: arrival here, or the
    meter's own clock, which load bursts align. ``scope`` is the user's word for what the meter sees.
    """

    scope: Literal["wall", "board"]
    name: str = "meter"
    preset: Literal["shelly", "tasmota"] | None = None
    transport: Literal["command", "csv", "http", "mqtt"] | None = None
    argv: tuple[str, ...] = ()
    url: str = ""
    path: str = ""
    host: str = ""
    port: int | None = None
    topic: str = ""
    format: Literal["json", "csv", "regex"] | None = None
    pattern: str = ""
    fields: dict[str, str] = msgspec.field(default_factory=dict)
    time: Literal["arrival", "field"] = "arrival"
    period_s: float = 1.0
    update_period_s: float | None = None
    window_s: float = 0.0
    latency_s: float = 0.0
    stale_after_s: float = 5.0
    gain_error: float | None = None
    offset_error_w: float | None = None
    lsb_w: float | None = None
