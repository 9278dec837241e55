"""What Apple's ``powermetrics --format plist`` wrote: one property list per interval, with a NUL between two of them.

Powers are means over an interval whose true length is ``elapsed_ns``, not the one that was asked for. They become
counters, power times true length summed up, which is exact whatever the intervals were. All are Apple's estimates.
"""

from __future__ import annotations

import math
import plistlib
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any
from xml.parsers.expat import ExpatError

from edgeq.errors import InputError
from edgeq.logs._traces import trace, update_period_s
from edgeq.records import Channel, Trace

_POWERS = {"combined": "combined_power", "cpu": "cpu_power", "gpu": "gpu_power", "ane": "ane_power"}
# Apple Silicon tells the GPU's clock in MHz under the name freq_hz, those of the CPU in Hz.
_LEAST_HZ = 1e6


def recognizes(data: bytes) -> bool:
    """Whether this begins with a property list that knows its interval."""
    head = data[: 1 << 16].lstrip(b"\0 \t\r\n")
    return head.startswith((b"<?xml", b"<plist")) and b"<plist" in head and b"elapsed_ns" in data


def parse(data: bytes, name: str) -> tuple[Trace, ...]:
    """Energies of the chip and its parts, clocks and thermal pressure; ns since the first interval began.

    A last list that is cut off is left out. Raises InputError for a damaged one before it, or for no list at all.
    """
    intervals = list(_intervals(data, name))
    if not intervals:
        raise InputError(f"{name} holds no complete interval of powermetrics.", "Let it run for longer.")
    lengths_ns = [length for length, _ in intervals]
    t_ns = [0, *accumulate(lengths_ns)]
    lists = [content for _, content in intervals]
    period_s = update_period_s(t_ns)
    traces = []
    powers = {part: watts for part, key in _POWERS.items() if (watts := _watts(lists, key))}
    for part, watts in powers.items():
        energy = accumulate((w * ns / 1e9 for w, ns in zip(watts, lengths_ns, strict=True)), initial=0.0)
        summand = part == "combined" or "combined" not in powers
        traces.append(trace(_energy(part, name, period_s, summand=summand), t_ns, list(energy)))
    for part, clocks in _clocks(lists).items():
        at = [(t, hz) for t, hz in zip(t_ns[1:], clocks, strict=True) if hz is not None]
        traces.append(trace(_clock(part, name, period_s), [t for t, _ in at], [hz for _, hz in at]))
    hot = [(t, c["thermal_pressure"]) for t, c in zip(t_ns[1:], lists, strict=True) if "thermal_pressure" in c]
    if hot:
        flags = [float(level != "Nominal") for _, level in hot]
        traces.append(trace(_pressure(name, period_s), [t for t, _ in hot], flags))
    return tuple(traces)


def _intervals(data: bytes, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    documents = [d for d in data.split(b"\0") if d.strip()]
    for i, document in enumerate(documents, 1):
        try:
            content = plistlib.loads(document.strip())
            elapsed_ns = content["elapsed_ns"]
        except (ValueError, LookupError, TypeError, AttributeError, ExpatError):
            if i == len(documents) > 1:
                return
            raise InputError(f"{name}: list {i} of {len(documents)} is damaged.", "Record it once more.") from None
        if not isinstance(elapsed_ns, int) or elapsed_ns <= 0:
            raise InputError(f"{name}: list {i} lasts {elapsed_ns!r} ns.", "Record it once more.")
        # With --show-initial-usage the first list is about all the time since the machine was started.
        if content.get("is_delta", True):
            yield elapsed_ns, content


def _watts(lists: Sequence[dict[str, Any]], key: str) -> list[float]:
    """Power in every interval; nothing where one of them does not tell, as a counter can't leave one out."""
    values = [_positive(_part(c, "processor").get(key)) for c in lists]
    watts = [v / 1000 for v in values if v is not None]
    return watts if len(watts) == len(lists) else []


def _clocks(lists: Sequence[dict[str, Any]]) -> dict[str, list[float | None]]:
    clocks: dict[str, list[float | None]] = {}
    for i, content in enumerate(lists):
        found = {"gpu": _part(content, "gpu").get("freq_hz")}
        clusters = _part(content, "processor").get("clusters")
        for cluster in clusters if isinstance(clusters, list) else []:
            if isinstance(cluster, dict) and isinstance(cluster.get("name"), str):
                found[cluster["name"]] = cluster.get("freq_hz")
        for name, value in found.items():
            hz = _positive(value)
            if hz is not None:
                clocks.setdefault(name, [None] * len(lists))[i] = hz if hz >= _LEAST_HZ else hz * 1e6
    return clocks


def _part(content: dict[str, Any], key: str) -> dict[str, Any]:
    part = content.get(key)
    return part if isinstance(part, dict) else {}


def _positive(value: Any) -> float | None:
    """A number that is 0 or more; a clock of 0 is one too: the part was off."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
        return None
    return float(value)


def _energy(name: str, source: str, period_s: float | None, *, summand: bool) -> Channel:
    return Channel(
        name=name,
        quantity="energy",
        kind="counter",
        unit="J",
        scope="package",
        update_period_s=period_s,
        accuracy="Apple's model of the chip, from load, clocks and voltages; no limits published",
        estimated=True,
        sensor="powermetrics",
        source=source,
        summand=summand,
        clock="device",
    )


def _clock(name: str, source: str, period_s: float | None) -> Channel:
    return Channel(
        name=name,
        quantity="frequency",
        kind="average",
        unit="Hz",
        scope="package",
        update_period_s=period_s,
        window_s=period_s,
        sensor="powermetrics",
        source=source,
        clock="device",
    )


def _pressure(source: str, period_s: float | None) -> Channel:
    return Channel(
        name="thermal_pressure",
        quantity="throttle",
        kind="gauge",
        unit="flag",
        scope="package",
        update_period_s=period_s,
        sensor="powermetrics",
        source=source,
        clock="device",
    )
