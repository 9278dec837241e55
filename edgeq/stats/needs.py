"""How long a test must last, before any of it has been measured."""

from __future__ import annotations

from edgeq.records import Channel

# As in `stats.energy`: 1 % of what happens within the edges; a tenth more, as polls are not exact.
_EDGES = 110
_SMEARED = 0.25
# On a busy board a reading is late by a tenth of a second now and then. A gap may make 2 % of a window.
_GAPS_S = 10.0


def window_needed_s(channel: Channel, poll_s: float) -> float:
    """Seconds that the windows of a test must have in all for this channel, read every ``poll_s``."""
    period_s = channel.update_period_s or 0.0
    slower_s = max(period_s, poll_s)
    if channel.kind == "counter":
        return _EDGES * max(min(period_s, poll_s), slower_s / 2)
    return max(_GAPS_S, _EDGES * max(slower_s, _SMEARED * (channel.window_s or 0.0)))
