"""What records hold over time and by position, thinned to as many values as a plot can show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edgeq.records import BenchRecord, EvalRecord, Phase, Trace
from edgeq.report.rows import plain, prefill_first

F64 = npt.NDArray[np.float64]

# All values of one kind in a whole page: a thousand records must still open at once.
MOST = 40_000
MOST_OF_ONE = 240
FEWEST_OF_ONE = 12
POSITIONS = 32
MOST_TRACES = 3
MOST_OF_TRACE = 60


class Rates(NamedTuple):
    """Tokens per second in the course of a run, by test: seconds since it began, t/s, repetition."""

    seconds: list[float]
    tps: list[float]
    rep: list[int]


class Heat(NamedTuple):
    """One temperature in the course of a run."""

    name: str
    seconds: list[float]
    celsius: list[float]


class Latency(NamedTuple):
    """Milliseconds from one token to the next by its number, over all repetitions: median, 5 % and 95 %."""

    token: list[int]
    median: list[float]
    low: list[float]
    high: list[float]


class ByPosition(NamedTuple):
    """Mean KLD by position in the chunk, with its standard error over the chunks."""

    position: list[int]
    kld: list[float]
    se: list[float]


def room(n_records: int) -> int:
    """How many values one of ``n_records`` may show."""
    return max(FEWEST_OF_ONE, min(MOST_OF_ONE, MOST // max(1, n_records)))


def tests(bench: BenchRecord) -> list[str]:
    """The tests of a run, prefill first."""
    return prefill_first(phase.test for phase in bench.phases if phase.timed and phase.test)


def length_s(bench: BenchRecord) -> float:
    """Seconds from the beginning to the end of the last phase."""
    return max(phase.t1_ns - bench.begun_ns for phase in bench.phases) / 1e9


def rates(bench: BenchRecord, test: str, most: int) -> Rates:
    """A value per repetition, or several where there are times of single tokens and room."""
    phases = [phase for phase in bench.phases if phase.timed and phase.test == test and phase.t1_ns > phase.t0_ns]
    found = Rates([], [], [])
    for phase in phases[:: max(1, -(-len(phases) // most))]:
        ends, counts = _ends(phase, max(1, most // len(phases)))
        good = np.diff(ends) > 0
        middles = (phase.t0_ns - bench.begun_ns + (ends[1:] + ends[:-1]) / 2) / 1e9
        found.seconds.extend(_short(middles[good]))
        found.tps.extend(_short(counts[good] / np.diff(ends)[good] * 1e9))
        found.rep.extend([phase.rep + 1] * int(good.sum()))
    return found


def _ends(phase: Phase, most: int) -> tuple[F64, F64]:
    """Where parts of a repetition begin and end, and how many tokens each has."""
    if not phase.token_ns or most < 2:
        return np.array([0.0, phase.t1_ns - phase.t0_ns]), np.array([float(phase.n_tokens)])
    times = np.array([0, *phase.token_ns], np.float64)
    cuts = np.unique(np.linspace(0, len(times) - 1, min(most, len(times) - 1) + 1).astype(int))
    return times[cuts], np.diff(cuts).astype(np.float64)


def heat(bench: BenchRecord, most: int) -> list[Heat]:
    """The hottest sensors of a run."""
    found = []
    for trace in bench.traces:
        if trace.channel.quantity == "temperature" and trace.channel.clock == "host":
            seconds, values = _samples(trace, bench.begun_ns)
            if len(values):
                found.append((float(values.max()), trace, seconds, values))
    most = min(most, MOST_OF_TRACE)
    hottest = sorted(found, key=lambda one: -one[0])[:MOST_TRACES]
    return [
        Heat(_name(trace), *(_thinned(part, most) for part in (seconds, values)))
        for _, trace, seconds, values in hottest
    ]


def _name(trace: Trace) -> str:
    sensor = f"{trace.channel.sensor} " if trace.channel.sensor else ""
    return plain(f"{sensor}{trace.channel.name}")


def _samples(trace: Trace, begun_ns: int) -> tuple[F64, F64]:
    times = (np.frombuffer(trace.t_ns_i64, "<i8") - begun_ns) / 1e9
    values = np.frombuffer(trace.value_f64, "<f8")
    good = np.isfinite(values)
    return times[good], values[good]


def _thinned(values: F64, most: int) -> list[float]:
    """Means of neighbors; what does not fill the last group is left out."""
    return _short(_grouped(values, most).mean(axis=-1))


def _grouped(values: F64, most: int) -> F64:
    """The last axis in at most ``most`` groups of neighbors, as many in each."""
    size = max(1, -(-values.shape[-1] // most))
    n = values.shape[-1] // size
    return values[..., : n * size].reshape(*values.shape[:-1], n, size)


def latency(bench: BenchRecord, test: str, most: int) -> Latency | None:
    """``None`` without times of single tokens."""
    times = [phase.token_ns for phase in bench.phases if phase.timed and phase.test == test and phase.token_ns]
    longest = max((len(one) for one in times), default=0)
    if longest < 3:
        return None
    steps = np.diff(np.array([one for one in times if len(one) == longest], np.float64), axis=1) / 1e6
    groups = _grouped(steps, most)
    low, median, high = (_short(one) for one in np.percentile(groups, (5, 50, 95), axis=(0, 2)))
    first = [2 + index * groups.shape[2] for index in range(groups.shape[1])]
    return Latency(first, median, low, high)


def kld_by_position(record: EvalRecord) -> ByPosition | None:
    """``None`` for the reference, and where the values do not come in whole chunks."""
    scored = record.settings.n_ctx - 1 - record.settings.first
    kld = np.frombuffer(record.kld_f32, "<f4").astype(np.float64)
    if scored < 1 or not len(kld) or len(kld) % scored:
        return None
    groups = _grouped(kld.reshape(-1, scored), POSITIONS)
    means = groups.mean(axis=2)
    size = groups.shape[2]
    middle = [record.settings.first + 1 + index * size + size // 2 for index in range(groups.shape[1])]
    spread = means.std(axis=0, ddof=1) / len(means) ** 0.5 if len(means) > 1 else np.zeros(means.shape[1])
    return ByPosition(middle, _short(means.mean(axis=0)), _short(spread))


def _short(values: F64) -> list[float]:
    """Five digits: more can't be seen, and every byte is there a thousand times."""
    return [float(f"{value:.5g}") for value in values.tolist()]


def named(records: Sequence[BenchRecord | EvalRecord], labels: dict[str, str]) -> list[str]:
    """What each record is called: its file, with the machine and the turn where these tell records apart."""
    hosts = {record.host.condition for record in records}
    found: list[str] = []
    seen: Counter[str] = Counter()
    for record in records:
        name = labels.get(record.model.sha256) or plain(record.model.file_type)
        if len(hosts) > 1:
            machine = (record.host.cpu, record.host.power_mode, record.build.backend)
            name += f" on {plain(', '.join(part for part in machine if part))}"
        if isinstance(record, BenchRecord) and record.turn:
            name += f", turn {record.turn}"
        seen[name] += 1
        found.append(f"{name} ({seen[name]})" if seen[name] > 1 else name)
    return found
