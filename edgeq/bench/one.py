"""One model, measured once: idle, the native program with every sensor read beside it, idle again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from edgeq import device, store
from edgeq.access import Access
from edgeq.bench.live import Live
from edgeq.bench.watched import Watched
from edgeq.errors import ToolError
from edgeq.instruments import Instruments
from edgeq.records import BenchRecord, BenchSettings, Buffer, Build, Gguf, Host

# (share done, what is going on)
Update = Callable[[float, str], None]


@dataclass(frozen=True)
class Bench:
    """Everything but the model: the build, the instruments and the settings that all files of a bench share."""

    build: Build
    access: Access
    found: Instruments
    settings: BenchSettings
    folder: Path
    # What the user asked for counts as an input; what a sensor was found to need may differ a little the next time.
    min_window_s: float | None = None
    # A comparison takes nothing from an earlier bench: its turns belong together.
    interleaved: bool = False
    host: Host = field(default_factory=device.host)

    def path(self, model: Gguf, turn: int = 0) -> tuple[Path, str]:
        """(where the record of this model lies, the key of its inputs)."""
        channels = sorted((c.sensor, c.name, c.scope) for s in self.found.sensors.values() for c in s.channels)
        settings = self.settings.without_waiting
        inputs = (self.build.key, self.access.profile, settings, self.min_window_s, self.settings.sync_s > 0, channels)
        adapter = model.adapter.sha256 if model.adapter else None
        key = store.key_of("bench", model.sha256, adapter, *inputs, self.host.condition, self.interleaved, turn)
        return self.folder / f"bench-{Path(model.path).stem}-{key[:8]}.json.gz", key

    def done(self, model: Gguf, turn: int = 0) -> BenchRecord | None:
        """The record, where it was made before."""
        path, key = self.path(model, turn)
        return store.find(path, BenchRecord, key)

    def measure(self, model: Gguf, turn: int = 0, on_progress: Update = lambda share, text: None) -> BenchRecord:
        """Run the tests in a process of their own and write ``folder/bench-NAME-KEY.json.gz``."""
        store.make_folder(self.folder)
        if found := self.done(model, turn):
            return found
        record = _Run(self, model, on_progress).record(turn)
        path, key = self.path(model, turn)
        store.save(path, record, key)
        return record


class _Run:
    def __init__(self, bench: Bench, model: Gguf, on_progress: Update) -> None:
        self._bench = bench
        self._model = model
        self._buffers: list[Buffer] = []
        self._memory: dict[str, dict[str, int | None]] = {}
        self._watched = Watched(bench.access, bench.found, bench.settings.idle_s)
        self._live = Live(bench.settings, self._watched.recorder, bench.access.clock, on_progress)

    def record(self, turn: int) -> BenchRecord:
        bench, watched = self._bench, self._watched
        watched.run(
            bench.build,
            "bench",
            _argv(self._model, bench.settings),
            what=f"benching {Path(self._model.path).name}",
            on_phase=self._live.phase,
            on_event=self._event,
            on_idle=self._live.idle,
            on_tick=self._live.tick,
        )
        if not any(p.timed for p in watched.phases):
            raise ToolError(f"The bench of {self._model.path} ended without a single measurement.")
        return BenchRecord(
            model=self._model,
            build=bench.build,
            profile=bench.access.profile,
            host=bench.host,
            settings=bench.settings,
            phases=tuple(watched.phases),
            traces=watched.recorder.traces(),
            buffers=tuple(self._buffers),
            rss_peak_bytes=self._highest("rss_peak_bytes"),
            rss_after_load_bytes=self._memory.get("load", {}).get("rss_peak_bytes"),
            missing=bench.found.missing(bench.access.profile.sensors),
            model_mapped_peak_bytes=self._highest("model_mapped_bytes"),
            sampling=watched.recorder.sampling(),
            sampler_cpu_s=watched.recorder.cpu_s,
            turn=turn,
        )

    def _highest(self, key: str) -> int | None:
        return max((n for e in self._memory.values() if (n := e.get(key)) is not None), default=None)

    def _event(self, kind: str, e: dict[str, object]) -> None:
        if kind == "buffers":
            self._buffers.append(msgspec.convert(e, Buffer))
        elif kind == "memory":
            at = str(e.pop("at"))
            self._memory[at] = msgspec.convert(e, dict[str, int | None])
            self._live.test_ended(at)


def _argv(model: Gguf, s: BenchSettings) -> list[str]:
    argv = ["--model", model.path, "--threads", str(s.n_threads), "--batch", str(s.n_batch)]
    argv += ["--ubatch", str(s.n_ubatch), "--gpu-layers", str(s.n_gpu_layers), "--flash-attn", s.flash_attn]
    argv += ["--type-k", s.type_k, "--type-v", s.type_v, "--reps", str(s.n_reps)]
    argv += ["--adapter", model.adapter.path] if model.adapter else []
    argv += ["--min-window", str(s.min_window_s), "--idle", str(s.idle_s), "--sync", str(s.sync_s)]
    for t in s.tests:
        argv += ["--test", f"{t.n_prompt},{t.n_gen},{t.n_depth}"]
    return argv
