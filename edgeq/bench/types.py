"""Weight types, measured without a model: idle, the native program with every sensor read beside it, idle again."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from edgeq import device, store
from edgeq.access import Access
from edgeq.bench.settings import settings
from edgeq.bench.watched import Watched
from edgeq.errors import MissingError, ToolError
from edgeq.instruments import Instruments
from edgeq.records import Build, Host, Note, Phase, Profile, TypesRecord, TypesSettings, WeightType

# Everything that can be in a mix.
TYPES = (
    *("Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "IQ4_NL", "IQ4_XS"),
    *("IQ3_S", "IQ3_XXS", "IQ2_S", "IQ2_XS", "IQ2_XXS", "F16", "BF16"),
)
_REASONS = {
    "unsupported": "{} was left out: llama.cpp can't multiply with it on this {}.",
    "wrong": "{} was left out: its products on this {} are not those of its weights.",
}
_TOTAL_MIB, _LEAST_MIB = 256, 64
_N_ROUNDS = 5

# (share done, what is going on)
Update = Callable[[float, str], None]


def types_settings(
    profile: Profile,
    *,
    n_reps: int,
    n_threads: int,
    found: Instruments | None = None,
    min_window_s: float | None = None,
    sync: bool = False,
) -> TypesSettings:
    """As `edgeq.bench.settings`; ``n_reps`` passes over each type's weights in all, shared out over the rounds.

    A type takes at most a quarter of the available memory. Raises MissingError where that is too little.
    """
    asked = settings(profile, (), n_reps=n_reps, n_threads=n_threads, found=found, min_window_s=min_window_s, sync=sync)
    available_mib = device.available_bytes() >> 20
    total_mib = min(_TOTAL_MIB, available_mib // 4)
    if total_mib < _LEAST_MIB:
        raise MissingError(
            f"Measuring weight types takes {4 * _LEAST_MIB} MiB of memory, and {available_mib} MiB are available.",
            "End other programs and try again.",
        )
    # Turns are apart from each other, and each has its edges: what is needed in all grows with their root.
    window_s = asked.min_window_s if min_window_s is not None else asked.min_window_s * math.sqrt(_N_ROUNDS)
    return TypesSettings(
        types=TYPES,
        device="gpu" if asked.n_gpu_layers else "cpu",
        n_threads=asked.n_threads,
        total_mib=total_mib,
        n_rounds=_N_ROUNDS,
        n_reps=-(-n_reps // _N_ROUNDS),
        idle_s=asked.idle_s,
        min_window_s=window_s,
        sync_s=asked.sync_s,
    )


@dataclass(frozen=True)
class TypesBench:
    """A measurement of weight types: the build, the instruments, the settings, and the folder for its record."""

    build: Build
    access: Access
    found: Instruments
    settings: TypesSettings
    folder: Path
    # As in Bench: the user's own, not what a sensor was found to need.
    min_window_s: float | None = None
    host: Host = field(default_factory=device.host)

    @property
    def path(self) -> Path:
        """Where the record lies."""
        return self.folder / f"types-{self.access.profile.name}.json.gz"

    def done(self) -> TypesRecord | None:
        """The record, where it was made before from the same inputs."""
        return store.find(self.path, TypesRecord, self._key())

    def measure(self, on_progress: Update = lambda share, text: None) -> TypesRecord:
        """Run the types in turns in a process of their own and write ``folder/types-PROFILE.json.gz``."""
        store.make_folder(self.folder)
        if found := self.done():
            return found
        record = _Run(self, on_progress).record()
        store.save(self.path, record, self._key())
        return record

    def _key(self) -> str:
        channels = sorted((c.sensor, c.name, c.scope) for s in self.found.sensors.values() for c in s.channels)
        inputs = (self.settings.inputs, self.min_window_s, self.settings.sync_s > 0, channels, self.host.condition)
        return store.key_of("types", self.build.key, self.access.profile, *inputs)


class _Run:
    def __init__(self, bench: TypesBench, on_progress: Update) -> None:
        self._bench = bench
        self._on_progress = on_progress
        self._types: list[WeightType] = []
        self._left_out: list[Note] = []
        self._n_turns = 0
        self._watched = Watched(bench.access, bench.found, bench.settings.idle_s)

    def record(self) -> TypesRecord:
        bench, watched = self._bench, self._watched
        watched.run(
            bench.build,
            "types",
            _argv(bench.settings),
            what="measuring weight types",
            on_phase=self._phase,
            on_event=self._event,
            on_idle=lambda rep: self._say("idle again" if rep else "idle"),
            on_tick=lambda: None,
        )
        if not self._types:
            raise ToolError(f"No weight type could be measured. {' '.join(n.text for n in self._left_out)}".strip())
        return TypesRecord(
            build=bench.build,
            profile=bench.access.profile,
            host=bench.host,
            settings=bench.settings,
            types=tuple(self._types),
            left_out=tuple(self._left_out),
            phases=tuple(watched.phases),
            traces=watched.recorder.traces(),
            missing=bench.found.missing(bench.access.profile.sensors),
            sampling=watched.recorder.sampling(),
            sampler_cpu_s=watched.recorder.cpu_s,
        )

    def _phase(self, phase: Phase) -> None:
        if phase.kind == "load" and phase.test:
            self._n_turns += 1
            self._say(phase.test, f"round {phase.rep + 1}/{self._bench.settings.n_rounds}")

    def _event(self, kind: str, e: dict[str, object]) -> None:
        if kind not in ("type", "left_out"):
            return
        name = str(e["name"])
        if kind == "left_out":
            text = _REASONS[str(e["reason"])].format(name, self._bench.settings.device.upper())
            self._left_out.append(Note("type-left-out", text))
        else:
            e["error"] = int(str(e.pop("error_permille"))) / 1000
            self._types.append(msgspec.convert(e, WeightType))

    def _say(self, *words: str) -> None:
        n_turns = self._bench.settings.n_rounds * (len(self._bench.settings.types) - len(self._left_out))
        self._on_progress(min(1.0, self._n_turns / max(1, n_turns)), "  ".join(words))


def _argv(s: TypesSettings) -> list[str]:
    argv = ["--threads", str(s.n_threads), "--device", s.device, "--rows", str(s.n_rows), "--columns", str(s.n_columns)]
    argv += ["--total-mib", str(s.total_mib), "--rounds", str(s.n_rounds), "--reps", str(s.n_reps)]
    argv += ["--min-window", str(s.min_window_s), "--idle", str(s.idle_s), "--sync", str(s.sync_s)]
    for name in s.types:
        argv += ["--type", name]
    return argv
