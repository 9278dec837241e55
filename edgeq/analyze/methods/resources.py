"""Size, memory, speed and energy against the reference; never a figure that is not the method's own."""

from __future__ import annotations

from edgeq import stats
from edgeq.analyze.clocks import on_host_clock
from edgeq.analyze.energy import energies
from edgeq.analyze.methods.facts import ArmFacts
from edgeq.records import BenchRecord, Energy, Estimate, Figure
from edgeq.stats.runs import run_of_rate, runs_ratio

_MIN_REPS = 3
# Repetitions that depend on each other tell less, which the interval allows for.
_ALLOWED_FOR = "autocorrelated"
_SLOWED = ("suspected", "confirmed")


def size_reduction(arm: ArmFacts, reference: ArmFacts) -> float | None:
    """By which share everything that must be there to run it is smaller than the reference."""
    if not (arm.has_size and arm.model and reference.model):
        return None
    return 1 - arm.model.all_bytes / reference.model.all_bytes


def rss_peak(arm: ArmFacts) -> int | None:
    """Peak of the measured process, in bytes."""
    return arm.bench.rss_peak_bytes if arm.bench and arm.has_size and arm.has_speed else None


def rss_reduction(arm: ArmFacts, reference: ArmFacts) -> float | None:
    """By which share that peak is smaller than the reference's."""
    ours, theirs = rss_peak(arm), rss_peak(reference)
    return 1 - ours / theirs if ours is not None and theirs else None


def speedups(arm: ArmFacts, reference: ArmFacts) -> dict[str, Figure]:
    """t/s over the reference's, by test, where both were measured alike.

    Without an interval where repetitions were not sound, or the device slowed itself down.
    """
    ours, theirs = arm.bench, reference.bench
    if not (ours and theirs and arm.has_speed) or ours.configuration[1:] != theirs.configuration[1:]:
        return {}
    found = {}
    for test in (t.name for t in ours.settings.tests):
        before, after = stats.timed_s(theirs, test), stats.timed_s(ours, test)
        if len(before) and len(after):
            ratio = runs_ratio([run_of_rate(before)], [run_of_rate(after)])
            sound = _sound(ours, test) and _sound(theirs, test)
            found[test] = Figure(ratio.ratio, ratio.ci95) if sound else Figure(Estimate(ratio.ratio.value))
    return found


def used(arm: ArmFacts) -> tuple[Energy, ...]:
    """Energy per token of each test and scope."""
    return energies(arm.bench, on_host_clock(arm.bench)[0])[0] if arm.bench and arm.has_speed else ()


def _sound(record: BenchRecord, test: str) -> bool:
    timed, times_s = stats.timed(record, test), stats.timed_s(record, test)
    if len(times_s) < _MIN_REPS:
        return False
    state = stats.repetitions(timed[0].n_tokens, times_s).state
    slowed = stats.verdict(on_host_clock(record)[0], timed).verdict in _SLOWED
    return not slowed and not any(word != _ALLOWED_FOR for word in state)
