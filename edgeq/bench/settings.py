"""What is run: the caller's tests, the device's settings, and the times that its power sensors need."""

from __future__ import annotations

import re

from edgeq import device, plugins, stats
from edgeq.errors import InputError
from edgeq.instruments import Instruments
from edgeq.recorder import PERIOD_S
from edgeq.records import BenchSettings, BenchTest, Profile

_TEST = re.compile(r"(pp|tg)([1-9]\d{0,6})(?:@d([1-9]\d{0,6}))?")
# A device at rest needs at least this long for a mean.
_IDLE_S = 30.0
# What would need longer windows, such as a plug that changes every five seconds, is left to the user's --min-window.
_LONGEST_S = 180.0


def parse_test(text: str) -> BenchTest:
    """``pp512``, ``tg128``, ``tg128@d4096``: tokens of prefill or decode, after a depth that is filled untimed."""
    m = _TEST.fullmatch(text.strip())
    if not m:
        raise InputError(f"{text!r} is not a test.", "Write pp512, tg128 or tg128@d4096.")
    n, depth = int(m[2]), int(m[3] or 0)
    prefill = m[1] == "pp"
    return BenchTest(n_prompt=n if prefill else 0, n_gen=0 if prefill else n, n_depth=depth)


def settings(
    profile: Profile,
    tests: tuple[str, ...],
    *,
    n_reps: int,
    n_threads: int,
    found: Instruments | None = None,
    min_window_s: float | None = None,
    sync: bool = False,
) -> BenchSettings:
    """The profile's and the backend's settings under the caller's, with the waiting that ``found`` asks for.

    Without ``found`` nothing is waited for: speed and memory alone need no idle phases.
    """
    backend = plugins.module("backends", profile.backend)
    if found and profile.meter and (error := found.denied.get("meter") or found.absent.get("meter")):
        raise error  # whoever describes a meter does not want an hour of measuring without it
    sensors = found.sensors.values() if found else ()
    power = [(c, s.period_s or PERIOD_S) for s in sensors for c in s.channels if c.quantity in ("energy", "power")]
    needed = max((w for c, poll_s in power if (w := stats.window_needed_s(c, poll_s)) <= _LONGEST_S), default=0.0)
    window_s = needed if min_window_s is None else min_window_s
    own_clock = [c.update_period_s or 0.0 for c, _ in power if c.clock == "device"]
    return BenchSettings(
        tests=tuple(parse_test(t) for t in tests),
        n_reps=n_reps,
        n_threads=n_threads or profile.n_threads or device.physical_cores(),
        idle_s=max(_IDLE_S, window_s, needed) if power else 0.0,
        min_window_s=window_s,
        sync_s=max([1.0, *own_clock]) if sync or own_clock else 0.0,
        **backend.runner_args(profile),
    )
