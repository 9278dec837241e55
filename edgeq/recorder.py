"""Record first, window later: a thread that only appends what the sensors give, on the clock of the phases."""

from __future__ import annotations

import contextlib
import threading
import time
from array import array
from collections.abc import Callable, Iterator

from edgeq.records import Trace
from edgeq.sensors import Sensor


class Recorder:
    """Samples sensors until stopped. ``traces()`` is what they gave; a failed reading leaves a gap, never a 0."""

    def __init__(self, sensors: list[Sensor], period_s: float, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._sensors = sensors
        self._period_s = period_s
        self._clock = clock
        self._stop = threading.Event()
        self._t = [[array("q") for _ in s.channels] for s in sensors]
        self._v = [[array("d") for _ in s.channels] for s in sensors]

    def sample(self) -> None:
        """Take one reading of every sensor, stamped with the middle of the time it took."""
        for i, sensor in enumerate(self._sensors):
            before = self._clock()
            values = sensor.read()
            t_ns = (before + self._clock()) // 2
            for j, value in enumerate(values):
                if value is not None:
                    self._t[i][j].append(t_ns)
                    self._v[i][j].append(value)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Sample in the background for as long as the block runs."""
        thread = threading.Thread(target=self._loop, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def traces(self) -> tuple[Trace, ...]:
        """One trace per channel that gave at least one value."""
        return tuple(
            Trace(channel, t.tobytes(), v.tobytes())
            for sensor, ts, vs in zip(self._sensors, self._t, self._v, strict=True)
            for channel, t, v in zip(sensor.channels, ts, vs, strict=True)
            if t
        )

    def _loop(self) -> None:
        while not self._stop.wait(self._period_s):
            self.sample()
