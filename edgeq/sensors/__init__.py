"""Shelf: one file per sensor; files whose names begin with an underscore are what several of them share.

Each has ``probe(access: Access) -> Sensor``, which succeeds only when a real reading came back. Otherwise it raises
MissingError with what to do (it is not here) or DeniedError with the fix (it is here, and this user may not read it).
"""

from __future__ import annotations

from typing import NamedTuple

from edgeq.records import Channel


class Sample(NamedTuple):
    """One value of the channel with this index. ``t_ns`` None: now; else the time at which it was true."""

    channel: int
    value: float
    t_ns: int | None = None


class Sensor:
    """Something that can be read again and again.

    ``period_s``: how often it is worth reading; None leaves that to the recorder. ``wakes``: reading keeps an idle
    device awake, so that idle phases are only read at their edges. ``trouble``: why the last reading lacks channels.
    """

    channels: tuple[Channel, ...] = ()
    period_s: float | None = None
    wakes: bool = False
    trouble: str = ""

    def read(self) -> list[Sample]:
        """What can be known now. A channel without a truth gives NaN; one that could not be read gives nothing.

        Raises OSError or ValueError, with a sentence, where nothing could be read.
        """
        raise NotImplementedError

    def follow(self, pid: int) -> None:
        """The measured process has started: what looks at one process looks at this one from now on."""

    def leave(self) -> None:
        """The measured process has ended: what looks at one process gives nothing until the next one."""

    def close(self) -> None:
        """Let go of files, threads and processes."""
