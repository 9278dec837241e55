"""What was measured and how: runs that belong together, and in what two configurations differ."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from edgeq import stats
from edgeq.analyze.clocks import on_host_clock
from edgeq.analyze.energy import energies
from edgeq.analyze.notes import name_of
from edgeq.records import BenchRecord, Build, Energy, EvalRecord, Gguf, Trace
from edgeq.records.compare import Difference

# Those that decide the speed; which tests are run, and how often, does not.
_SETTINGS = ("n_threads", "n_batch", "n_ubatch", "n_gpu_layers", "flash_attn", "type_k", "type_v")
_CONDITION = ("CPU", "board", "power mode", "governor", "power supply")


class Measured:
    """One run, with what is derived from it only where it is asked for."""

    def __init__(self, record: BenchRecord) -> None:
        self.record = record

    @cached_property
    def traces(self) -> list[Trace]:
        """All that have a place on the clock of the phases."""
        return on_host_clock(self.record)[0]

    @cached_property
    def energies(self) -> tuple[Energy, ...]:
        """Of every test and scope, the headline's scope first."""
        return energies(self.record, self.traces)[0]

    def times_s(self, test: str) -> stats.F64:
        """Seconds that each repetition took; empty where the test was not run."""
        return stats.timed_s(self.record, test)


class Configuration:
    """Runs that differ in their turn only, in the order in which they began."""

    def __init__(self, records: Sequence[BenchRecord]) -> None:
        self.runs = [Measured(r) for r in sorted(records, key=lambda r: r.begun_ns)]
        self.first = self.runs[0].record

    @property
    def tests(self) -> list[str]:
        """Names of the tests that any of its runs has."""
        names = dict.fromkeys(t.name for run in self.runs for t in run.record.settings.tests)
        return [name for name in names if any(len(run.times_s(name)) for run in self.runs)]


def configurations(benches: Sequence[BenchRecord]) -> list[Configuration]:
    """Records grouped by everything that decides their figures."""
    groups: dict[tuple[object, ...], list[BenchRecord]] = {}
    for b in benches:
        key = (b.model.sha256, b.host.condition, b.build.key, *_settings(b).values())
        groups.setdefault(key, []).append(b)
    return [Configuration(group) for group in groups.values()]


def differences(a: Configuration, b: Configuration) -> tuple[Difference, ...]:
    """In what two configurations differ: file, build, settings, condition of the host."""
    one, other = a.first, b.first
    found = [*_file(one.model, other.model), *_build(one.build, other.build)]
    settings = _unequal(_settings(one), _settings(other))
    condition = _unequal(
        dict(zip(_CONDITION, one.host.condition, strict=True)), dict(zip(_CONDITION, other.host.condition, strict=True))
    )
    found += [Difference("settings", *settings)] if settings else []
    found += [Difference("host", *condition)] if condition else []
    return tuple(found)


def of_evals(a: EvalRecord, b: EvalRecord) -> tuple[Difference, ...]:
    """In what two evaluations differ that do not keep them from being compared: file and build."""
    return (*_file(a.model, b.model), *_build(a.build, b.build))


def _file(a: Gguf, b: Gguf) -> list[Difference]:
    if a.sha256 == b.sha256:
        return []
    names = (name_of(a), name_of(b))
    if names[0] == names[1]:
        names = (f"{names[0]} {a.sha256[:8]}", f"{names[1]} {b.sha256[:8]}")
    return [Difference("file", *names)]


def _build(a: Build, b: Build) -> list[Difference]:
    if a.key == b.key:
        return []
    names = [f"{build.backend} {build.llama_commit[:9]}" for build in (a, b)]
    if names[0] == names[1]:
        names = [f"{name} {build.key[:8]}" for name, build in zip(names, (a, b), strict=True)]
    return [Difference("build", *names)]


def _settings(b: BenchRecord) -> dict[str, object]:
    return {name: getattr(b.settings, name) for name in _SETTINGS}


def _unequal(a: dict[str, object], b: dict[str, object]) -> tuple[str, str] | None:
    """What is not the same, on both sides in words; None where all is."""
    names = [name for name in a if a[name] != b[name]]
    if not names:
        return None

    def words(side: dict[str, object]) -> str:
        return ", ".join(f"{name} {'unknown' if side[name] is None else side[name]}" for name in names)

    return words(a), words(b)
