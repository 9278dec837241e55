"""The live line: what is being run, how fast, at how many watts and degrees."""

from __future__ import annotations

import threading
from collections.abc import Callable

from edgeq.recorder import Recorder
from edgeq.records import BenchSettings, Phase
from edgeq.stats import Source, sources

# Of a test of which nothing is known yet.
_UNKNOWN_S = 10.0


class Live:
    """Told of phases by the run and of time by the recorder's thread, it hands on (share done, one line)."""

    def __init__(
        self,
        settings: BenchSettings,
        recorder: Recorder,
        clock: Callable[[], int],
        on_progress: Callable[[float, str], None],
    ) -> None:
        self._settings = settings
        self._recorder = recorder
        self._clock = clock
        self._on_progress = on_progress
        self._lock = threading.Lock()
        # How long each test will take is known from its first repetition on.
        self._expected_s = {t.name: settings.min_window_s or _UNKNOWN_S for t in settings.tests}
        self._spent_s = dict.fromkeys(self._expected_s, 0.0)
        self._rested_s = 0.0
        self._resting_ns: int | None = None
        self._at = "loading"
        self._tps = ""
        self._source = _widest(recorder)
        self._energy: tuple[int, float] | None = None
        self._watts: float | None = None

    def idle(self, rep: int) -> None:
        """The machine rests before (0) or after (1) the program."""
        self._rest("idle" if rep == 0 else "idle again")

    def phase(self, phase: Phase) -> None:
        """A phase has ended: the line says it of a repetition, and else what comes next."""
        seconds, n_reps = (phase.t1_ns - phase.t0_ns) / 1e9, self._settings.n_reps
        if phase.timed and phase.test:
            self._tps = f"{phase.n_tokens / seconds:.1f} t/s" if seconds else ""
            self._spent_s[phase.test] += seconds
            self._expected_s[phase.test] = max(self._settings.min_window_s, n_reps * seconds)
            # Beyond the asked for, it goes on until the window is full.
            of = f"/{n_reps}" if phase.rep < n_reps else ""
            self._say(f"{phase.test} {phase.rep + 1}{of}")
            return
        if phase.kind in ("load", "loaded"):
            self._rested_s += self._settings.idle_s
            self._resting_ns = None
        if phase.kind == "load" and self._settings.idle_s:
            self._rest("idle, model loaded")
        else:
            self._say("load bursts" if phase.kind == "sync" else "warming up")

    def test_ended(self, test: str) -> None:
        """All repetitions of a test are done; after the last test the model rests in memory."""
        if test == self._settings.tests[-1].name and self._settings.idle_s:
            self._rest("idle, model loaded")

    def tick(self) -> None:
        """Some time has passed."""
        self._update_watts()
        self._tell()

    def _rest(self, at: str) -> None:
        self._resting_ns = self._clock()
        self._tps = ""
        self._say(at)

    def _say(self, at: str) -> None:
        self._at = at
        self._tell()

    def _tell(self) -> None:
        parts = [self._at, self._tps]
        if self._watts is not None and self._source:
            parts.append(f"{'≈' if self._source.estimated else ''}{self._watts:.1f} W ({self._source.scope})")
        if degrees := [v for _, v, _ in self._recorder.latest("temperature")]:
            parts.append(f"{max(degrees):.0f} °C")
        with self._lock:
            self._on_progress(self._share(), "  ".join(p for p in parts if p))

    def _share(self) -> float:
        """Of the expected time: rests before loading, after it, after the tests and at the end; and the tests."""
        idle_s = self._settings.idle_s
        resting_s = 0.0 if self._resting_ns is None else (self._clock() - self._resting_ns) / 1e9
        done_s = self._rested_s + min(resting_s, idle_s)
        done_s += sum(min(self._spent_s[t], expected_s) for t, expected_s in self._expected_s.items())
        return min(1.0, done_s / (4 * idle_s + sum(self._expected_s.values())))

    def _update_watts(self) -> None:
        """From the widest source: the sum of its last values, or the growth of its counters since the last look."""
        if self._source is None:
            return
        if self._source.quantity == "power":
            self._watts = sum(v for c, v, _ in self._recorder.latest("power") if c in self._source.channels)
            return
        now = [(v, t) for c, v, t in self._recorder.latest("energy") if c in self._source.channels]
        if len(now) != len(self._source.channels):
            return
        joules, t_ns = sum(v for v, _ in now), max(t for _, t in now)
        if self._energy is None:
            self._energy = (t_ns, joules)
        elif t_ns > self._energy[0]:
            watts = (joules - self._energy[1]) / (t_ns - self._energy[0]) * 1e9
            self._watts = watts if watts >= 0 else None  # a wrap
            self._energy = (t_ns, joules)


def _widest(recorder: Recorder) -> Source | None:
    return next(iter(sources(recorder.channels())), None)
