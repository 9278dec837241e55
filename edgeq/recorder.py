"""Record first, window later: a thread that only appends what the sensors give, on the clock of the phases."""

from __future__ import annotations

import contextlib
import random
import statistics
import threading
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterator, Mapping

from edgeq.access import Access
from edgeq.records import Channel, Sampling, Trace
from edgeq.sensors import Sensor

# How often a sensor is read that does not say how often it is worth it.
PERIOD_S = 0.05
# Token loops of 5 to 200 ms would beat with a fixed sampling period.
_JITTER = 0.3
# A sensor is read for at most this share of the time: an I2C register takes half a millisecond.
_DUTY = 0.05
_SUSPENDED_NS = 100_000_000
_TICK_NS = 500_000_000
_REST_S = 0.005
_LONGEST_REST_S = 0.1
# Waking up costs more than most readings: a sensor is read this part of its period early if another one is due.
_EARLY = 0.25


class _Log:
    """What one sensor has given so far, and what it cost."""

    def __init__(self, name: str, sensor: Sensor, period_s: float) -> None:
        self.name = name
        self.sensor = sensor
        self.period_s = sensor.period_s or period_s
        self.t = [array("q") for _ in sensor.channels]
        self.v = [array("d") for _ in sensor.channels]
        self.n_reads = 0
        self.n_faults = 0
        self.fault = ""
        self.read_ns = 0
        self.last_ns: deque[int] = deque(maxlen=5)
        self.due_ns = 0

    def append(self, channel: int, t_ns: int, value: float) -> None:
        """Keep one sample; a device's own stamps may arrive out of order and are then left out."""
        times = self.t[channel]
        if times and t_ns <= times[-1]:
            return
        times.append(t_ns)
        self.v[channel].append(value)


class Recorder:
    """Samples sensors until stopped. A failed reading leaves a gap and a reason, never a 0."""

    def __init__(self, sensors: Mapping[str, Sensor], access: Access, period_s: float = PERIOD_S) -> None:
        self._logs = [_Log(name, sensor, period_s) for name, sensor in sensors.items()]
        self._access = access
        self._random = random.Random(0)
        self._stop = threading.Event()
        self._turn = threading.Lock()
        self._suspended_ns = access.suspended()
        self._quiet = False
        self.cpu_s = 0.0

    def sample(self, *, everything: bool = False) -> None:
        """Read the sensors that are due (or all), each stamped with the middle of the time its reading took."""
        with self._turn:
            slept = self._access.suspended()
            if slept - self._suspended_ns > _SUSPENDED_NS:
                self._void()
            self._suspended_ns = slept
            for log in self._logs:
                now = self._access.clock()
                early_ns = int(_EARLY * log.period_s * 1e9)
                if everything or (now >= log.due_ns - early_ns and not (self._quiet and log.sensor.wakes)):
                    self._read(log, now)

    @contextlib.contextmanager
    def idle(self) -> Iterator[None]:
        """An idle phase: sensors that would keep the device awake are read at its two edges only."""
        self.sample(everything=True)
        self._quiet = True
        try:
            yield
        finally:
            self._quiet = False
            self.sample(everything=True)

    @contextlib.contextmanager
    def running(self, on_tick: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Sample in the background for as long as the block runs; one reading of everything at each end.

        ``on_tick`` is called twice a second by the sampling thread.
        """
        self.sample(everything=True)
        thread = threading.Thread(target=self._loop, args=(on_tick,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()
            self.sample(everything=True)

    def follow(self, pid: int) -> None:
        """The measured process has started."""
        with self._turn:
            for log in self._logs:
                log.sensor.follow(pid)

    def leave(self) -> None:
        """The measured process has ended; its last values are taken first."""
        self.sample(everything=True)
        with self._turn:
            for log in self._logs:
                log.sensor.leave()

    def channels(self) -> tuple[Channel, ...]:
        """All channels of all sensors."""
        return tuple(c for log in self._logs for c in log.sensor.channels)

    def latest(self, quantity: str) -> list[tuple[Channel, float, int]]:
        """(channel, last value, its time in ns) of every channel of this quantity, for the live line."""
        return [
            (channel, log.v[i][-1], log.t[i][-1])
            for log in self._logs
            for i, channel in enumerate(log.sensor.channels)
            if channel.quantity == quantity and log.v[i]
        ]

    def traces(self) -> tuple[Trace, ...]:
        """One trace per channel that gave at least one value."""
        return tuple(
            Trace(channel, t.tobytes(), v.tobytes())
            for log in self._logs
            for channel, t, v in zip(log.sensor.channels, log.t, log.v, strict=True)
            if t
        )

    def sampling(self) -> tuple[Sampling, ...]:
        """What each sensor cost, and how often it failed."""
        return tuple(Sampling(g.name, g.period_s, g.n_reads, g.n_faults, g.read_ns / 1e9, g.fault) for g in self._logs)

    def _read(self, log: _Log, before: int) -> None:
        trouble = ""
        try:
            samples = log.sensor.read()
            trouble = log.sensor.trouble
        except Exception as e:  # whatever is wrong with one sensor, the run and the others go on
            samples = []
            trouble = str(e) or type(e).__name__
        log.n_faults += bool(trouble)
        log.fault = log.fault or trouble
        after = self._access.clock()
        log.n_reads += 1
        log.read_ns += after - before
        log.last_ns.append(after - before)
        for channel, value, t_ns in samples:
            log.append(channel, (before + after) // 2 if t_ns is None else t_ns, value)
        # The median: on a busy machine this thread is put aside in the middle of a reading now and then.
        period_s = max(log.period_s, statistics.median(log.last_ns) / 1e9 / _DUTY)
        log.due_ns = after + int(period_s * 1e9 * self._random.uniform(1 - _JITTER, 1 + _JITTER))

    def _void(self) -> None:
        """The machine was suspended: no window across this moment can be trusted."""
        now = self._access.clock()
        for log in self._logs:
            log.fault = log.fault or "the machine was suspended"
            for i, channel in enumerate(log.sensor.channels):
                # On a clock of its own, the suspend came after the last sample that we know of.
                at = now if channel.clock == "host" else log.t[i][-1] + 1 if log.t[i] else None
                if at is not None:
                    log.append(i, at, float("nan"))

    def _loop(self, on_tick: Callable[[], None]) -> None:
        # CPU time, not wall time: a read that waits for a bus costs the measured program nothing.
        started = time.thread_time()
        try:
            self._until_stopped(on_tick)
        finally:
            self.cpu_s += time.thread_time() - started

    def _until_stopped(self, on_tick: Callable[[], None]) -> None:
        next_tick = 0
        while not self._stop.is_set():
            self.sample()
            now = self._access.clock()
            if now >= next_tick:
                with contextlib.suppress(Exception):  # a broken terminal does not end the sampling
                    on_tick()
                next_tick = now + _TICK_NS
            due = min([log.due_ns for log in self._logs if not (self._quiet and log.sensor.wakes)] or [next_tick])
            time.sleep(min(max(_REST_S, (min(due, next_tick) - now) / 1e9), _LONGEST_REST_S))
