"""Which channels make up one figure of energy, and which of several figures is the widest that was measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from edgeq.records import Channel, Scope

# A scope contains those to the right of it. A package and a discrete GPU lie side by side.
WIDTH: dict[Scope, int] = {"wall": 0, "board": 1, "module": 2, "package": 3, "gpu": 3, "rail": 4}


class Source(NamedTuple):
    """Everything that one sensor sees at one scope: its channels add up, and with nothing else."""

    sensor: str
    scope: Scope
    quantity: Literal["energy", "power"]
    channels: tuple[Channel, ...]

    @property
    def estimated(self) -> bool:
        """Whether a model's output is part of it."""
        return any(c.estimated for c in self.channels)

    @property
    def name(self) -> str:
        """For a table: ``ina: VDD_IN``."""
        return f"{self.sensor}: {' + '.join(c.name for c in self.channels)}"


def sources(channels: Iterable[Channel]) -> list[Source]:
    """Sources by preference: measured before estimated, wide before narrow, counters before samples of power."""
    grouped: dict[tuple[str, Scope, Literal["energy", "power"]], list[Channel]] = {}
    for c in channels:
        if c.summand and c.scope in WIDTH and (c.quantity == "energy" or c.quantity == "power"):
            grouped.setdefault((c.sensor, c.scope, c.quantity), []).append(c)
    found = [Source(sensor, scope, quantity, tuple(g)) for (sensor, scope, quantity), g in grouped.items()]
    return sorted(found, key=lambda s: (s.estimated, WIDTH[s.scope], s.quantity != "energy", s.sensor))


def beside(headline: Source, ordered: Sequence[Source]) -> Source | None:
    """The source to be added to a package or a GPU because it lies beside it, not inside: the other of the two."""
    other = {"package": "gpu", "gpu": "package"}.get(headline.scope)
    return next((s for s in ordered if s.scope == other and s.estimated == headline.estimated), None)
