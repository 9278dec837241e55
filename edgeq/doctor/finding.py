"""What the examination finds."""

from __future__ import annotations

from typing import Literal

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at. ``needed``: without it the main job can't run."""

    name: str
    ok: bool
    text: str
    hint: str = ""
    needed: bool = False


class Reading(msgspec.Struct, frozen=True):
    """One channel of a sensor that can be read: what it says of itself, and what was seen of it."""

    channel: str
    quantity: str
    unit: str
    scope: str
    kind: str
    estimated: bool
    value: float | None
    update_period_s: float | None
    measured_period_s: float | None
    lsb: float | None
    measured_lsb: float | None
    noise: float | None
    accuracy: str | None
    source: str


class SensorFinding(msgspec.Struct, frozen=True):
    """One sensor of the shelf. ``text``, ``hint``: why it can't be read and what to do; ``read_s``: cost of a read."""

    name: str
    state: Literal["usable", "denied", "silent", "absent"]
    text: str = ""
    hint: str = ""
    read_s: float | None = None
    readings: tuple[Reading, ...] = ()


class Examination(msgspec.Struct, frozen=True):
    """Everything that was found. ``measures_power``: whether energy per token can be measured here."""

    software: tuple[Finding, ...]
    sensors: tuple[SensorFinding, ...]
    readiness: tuple[Finding, ...]
    measures_power: bool

    @property
    def ok(self) -> bool:
        """Whether the main job can run and energy can be measured."""
        return self.measures_power and all(f.ok for f in self.software if f.needed)
