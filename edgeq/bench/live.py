"""The live line: what is being run, how fast, at how many watts and degrees."""

from __future__ import annotations

import threading
from collections.abc import Callable

from edgeq.recorder import Recorder
from edgeq.records import BenchSettings, Phase
from edgeq.stats import Source, sources

_SHOWN = {"warmup": "warming up", "fill": "filling the context", "loaded": "idle, model loaded", "sync": "load bursts"}


class Live:
    """Told of phases by the run and of time by the recorder's thread, it hands on (share done, one line)."""

    def __init__(self, settings: BenchSettings, recorder: Recorder, on_progress: Callable[[float, str], None]) -> None:
        self._settings = settings
        self._recorder = recorder
        self._on_progress = on_progress
        self._lock = threading.Lock()
        # Per test its repetitions and about five warm-ups; idle phases and loading count as one repetition each.
        self._total = 5 + len(settings.tests) * (settings.n_reps + 5)
        self._done = 0.0
        self._at = "loading"
        self._tps = ""
        self._source = _widest(recorder)
        self._energy: tuple[int, float] | None = None
        self._watts: float | None = None

    def idle(self, rep: int) -> None:
        """The machine rests before (0) or after (1) the program."""
        self._say("idle" if rep == 0 else "idle again")

    def phase(self, phase: Phase) -> None:
        """A phase has ended."""
        self._done += 1
        if phase.timed:
            seconds = (phase.t1_ns - phase.t0_ns) / 1e9
            self._tps = f"{phase.n_tokens / seconds:.1f} t/s" if seconds else ""
            self._say(f"{phase.test} {phase.rep + 1}/{self._settings.n_reps}")
        else:
            self._say(_SHOWN.get(phase.kind, phase.kind))

    def tick(self) -> None:
        """Some time has passed."""
        self._update_watts()
        self._tell()

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
            self._on_progress(min(1.0, self._done / self._total), "  ".join(p for p in parts if p))

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
