"""Room: speed and memory of one model, as raw facts: phases, per-token times, traces, buffer sizes."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from pathlib import Path

import msgspec

from edgeq import device, plugins, programs, store
from edgeq.errors import InputError, MissingError, ToolError
from edgeq.recorder import Recorder
from edgeq.records import BenchRecord, BenchSettings, BenchTest, Buffer, Build, Gguf, Note, Phase, Profile, Trace
from edgeq.sensors import Sensor

_SAMPLE_PERIOD_S = 0.2
_TEST = re.compile(r"(pp|tg)([1-9]\d{0,6})(?:@d([1-9]\d{0,6}))?")


def parse_test(text: str) -> BenchTest:
    """``pp512``, ``tg128``, ``tg128@d4096``: tokens of prefill or decode, after a depth that is filled untimed."""
    m = _TEST.fullmatch(text.strip())
    if not m:
        raise InputError(f"{text!r} is not a test.", "Write pp512, tg128 or tg128@d4096.")
    n, depth = int(m[2]), int(m[3] or 0)
    prefill = m[1] == "pp"
    return BenchTest(n_prompt=n if prefill else 0, n_gen=0 if prefill else n, n_depth=depth)


def settings(profile: Profile, tests: tuple[str, ...], *, n_reps: int, n_threads: int) -> BenchSettings:
    """What will be run on this device: the profile's and the backend's settings under the caller's."""
    backend = plugins.module("backends", profile.backend)
    return BenchSettings(
        tests=tuple(parse_test(t) for t in tests),
        n_reps=n_reps,
        n_threads=n_threads or profile.n_threads or device.physical_cores(),
        **backend.runner_args(profile),
    )


def bench(
    model: Gguf,
    build: Build,
    profile: Profile,
    settings: BenchSettings,
    folder: Path,
    *,
    on_progress: Callable[[float], None] = lambda _: None,
) -> BenchRecord:
    """Run the tests in a process of their own and write ``folder/bench-NAME-KEY.json.gz``."""
    store.make_folder(folder)
    key = store.key_of("bench", model.sha256, build.key, profile, settings)
    path = folder / f"bench-{Path(model.path).stem}-{key[:8]}.json.gz"
    if found := store.find(path, BenchRecord, key):
        return found
    phases: list[Phase] = []
    buffers: list[Buffer] = []
    rss: dict[str, int | None] = {}
    # Per repetition one timed phase, and per test one warm-up.
    total = 1 + len(settings.tests) * (settings.n_reps + 1)

    def event(e: dict[str, object]) -> None:
        kind = e.pop("event")
        if kind == "phase":
            phases.append(msgspec.convert(e, Phase))
            on_progress(min(1.0, sum(p.kind != "fill" for p in phases) / total))
        elif kind == "buffers":
            buffers.append(msgspec.convert(e, Buffer))
        elif kind == "memory":
            rss[str(e["at"])] = msgspec.convert(e["rss_peak_bytes"], int | None)

    recording = _Recording(profile)
    with contextlib.ExitStack() as stack:
        programs.native(
            build,
            "bench",
            _argv(model, settings),
            what=f"benching {Path(model.path).name}",
            on_event=event,
            on_start=lambda guard: recording.start(guard, stack),
        )
    if not any(p.kind in ("prefill", "decode") for p in phases):
        raise ToolError(f"The bench of {model.path} ended without a single measurement.")
    record = BenchRecord(
        model=model,
        build=build,
        profile=profile,
        host=device.host(),
        settings=settings,
        phases=tuple(phases),
        traces=recording.traces(),
        buffers=tuple(buffers),
        rss_peak_bytes=rss.get("end"),
        rss_after_load_bytes=rss.get("load"),
        missing=tuple(recording.missing),
    )
    store.save(path, record, key)
    return record


class _Recording:
    """Starts the profile's sensors once the measured process is there; says why where one can't be read."""

    def __init__(self, profile: Profile) -> None:
        self._names = profile.sensors
        self._recorder: Recorder | None = None
        self.missing: list[Note] = []

    def start(self, guard_pid: int, stack: contextlib.ExitStack) -> None:
        pid = device.child_pid(guard_pid)
        if pid is None:
            return  # it has failed already, and its error says why
        sensors: list[Sensor] = []
        for name in self._names:
            try:
                sensors.append(plugins.module("sensors", name).probe(pid))
            except MissingError as e:
                self.missing.append(Note(f"no-{name}", e.text, e.hint))
        self._recorder = Recorder(sensors, _SAMPLE_PERIOD_S)
        stack.enter_context(self._recorder.running())

    def traces(self) -> tuple[Trace, ...]:
        return self._recorder.traces() if self._recorder else ()


def _argv(model: Gguf, s: BenchSettings) -> list[str]:
    argv = ["--model", model.path, "--threads", str(s.n_threads), "--batch", str(s.n_batch)]
    argv += ["--ubatch", str(s.n_ubatch), "--gpu-layers", str(s.n_gpu_layers), "--flash-attn", s.flash_attn]
    argv += ["--type-k", s.type_k, "--type-v", s.type_v, "--reps", str(s.n_reps)]
    for t in s.tests:
        argv += ["--test", f"{t.n_prompt},{t.n_gen},{t.n_depth}"]
    return argv
