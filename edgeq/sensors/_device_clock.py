"""A device's time stamps on the host's clock, judged by when they arrived."""

from __future__ import annotations

# Quartz drifts by up to 0.01 %, and NTP slews a wall clock by up to 0.05 % (adjtimex(2)).
_DRIFT = 500e-6


class DeviceClock:
    """Follows one clock whose zero nobody knows.

    A stamp arrives after it was made, never before, so the smallest delay is nearest to the truth. One that was seen
    long ago may be beaten by as much as two clocks drift apart meanwhile.
    """

    def __init__(self) -> None:
        self._offset_ns: int | None = None
        self._seen_ns = 0

    def follow(self, device_ns: int, received_ns: int) -> None:
        """Take note that this stamp was there at this time of the host's clock."""
        offset_ns = received_ns - device_ns
        if self._offset_ns is not None:
            offset_ns = min(offset_ns, self._offset_ns + round((received_ns - self._seen_ns) * _DRIFT))
        self._offset_ns = offset_ns
        self._seen_ns = received_ns

    def host_ns(self, device_ns: int) -> int | None:
        """The host's time of a stamp, None before the first one was followed."""
        return None if self._offset_ns is None else device_ns + self._offset_ns
