"""Shelf: one file per sensor.

Each has ``probe(pid, root=Path("/")) -> Sensor``, which succeeds only when a real reading came back and raises
MissingError with what to do otherwise.
"""

from __future__ import annotations

from typing import Protocol

from edgeq.records import Channel


class Sensor(Protocol):
    """Something that can be read now."""

    @property
    def channels(self) -> tuple[Channel, ...]:
        """What it gives, in the order of `read`."""

    def read(self) -> tuple[float | None, ...]:
        """One value per channel; None for a reading that failed."""
