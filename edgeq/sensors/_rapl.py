"""RAPL, the energy counters of x86 processors, whichever way the kernel shows them: domains and what they contain.

Intel's manual (volume 3B, "RAPL domains") puts PP0 (core) and PP1 (uncore) inside the package and DRAM beside it: it is
the memory modules, which only servers and some workstations count. So DRAM is added to the package, core and uncore are
not. psys is the platform around all of them, but only where the maker of the machine has wired it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from edgeq.access import Access
from edgeq.errors import MissingError
from edgeq.records import Channel, Scope
from edgeq.sensors import Sample, Sensor

_SETTLE_S = 0.1


class _Domain(NamedTuple):
    """Where a domain belongs, and in words what it contains."""

    scope: Scope
    summand: bool
    contains: str


_DOMAINS = {
    "package": _Domain("package", True, "the whole processor, without its voltage regulators"),
    "dram": _Domain("package", True, "the memory modules, which the package leaves out"),
    "core": _Domain("rail", False, "the cores (on AMD one of them), within the package"),
    "uncore": _Domain("rail", False, "mostly the graphics, within the package"),
    "psys": _Domain("board", True, "the platform, package included, as far as the maker has wired it"),
}


class Counter(NamedTuple):
    """One energy counter. ``domain``: as `domain_of` says; ``joules`` raises OSError or ValueError."""

    domain: str
    channel: Channel
    joules: Callable[[], float]


def domain_of(name: str) -> str | None:
    """``package-0-die-1`` -> package, ``psys-1`` -> psys; None for a zone that RAPL's documentation does not know."""
    domain = re.split(r"-\d", name)[0]
    return domain if domain in _DOMAINS else None


def channel(domain: str, name: str, source: str, wraps_at: float | None = None, max_w: float | None = None) -> Channel:
    """The channel of one counter of this domain, in J."""
    scope, summand, contains = _DOMAINS[domain]
    return Channel(
        name=name,
        quantity="energy",
        kind="counter",
        unit="J",
        scope=scope,
        update_period_s=0.001,
        lsb=2.0**-14,
        accuracy=f"no limits published; {contains}; steps of 61 µJ are typical",
        wraps_at=wraps_at,
        max_w=max_w,
        source=source,
        summand=summand,
    )


class Rapl(Sensor):
    """Reads counters that are already open, in J."""

    # Faster than the default: a phase ends anywhere, and between two readings energy can only be interpolated.
    period_s = 0.02

    def __init__(self, counters: Sequence[Counter], close: Callable[[], None] = lambda: None) -> None:
        self._counters = tuple(counters)
        self._close = close
        self.channels = tuple(c.channel for c in counters)

    def read(self) -> list[Sample]:
        """All counters. Raises OSError or ValueError where one can't be read: a sum needs all of them."""
        return [Sample(i, c.joules()) for i, c in enumerate(self._counters)]

    def close(self) -> None:
        """Let go of what the counters are read from."""
        self._close()


def moving(counters: Sequence[Counter], access: Access) -> Sequence[Counter]:
    """The counters, after a short look at that of the package.

    Raises MissingError where it stands still, as in virtual machines that only pretend to have one, and OSError or
    ValueError where a counter can't be read.
    """
    packages = [c for c in counters if c.domain == "package"]
    before = [c.joules() for c in packages]
    access.sleep(_SETTLE_S)
    if [c.joules() for c in packages] == before:
        raise MissingError(
            "No energy counter of a processor's package moves here.",
            "Virtual machines may show one that stands still: measure on the machine itself.",
        )
    return counters
