"""Room: one measurement against an earlier one of the same or of something else. Pure: no clock, disk or process."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

from edgeq.analyze.compare.configurations import Configuration, configurations, differences, of_evals
from edgeq.analyze.compare.energy import energy_changes
from edgeq.analyze.compare.gate import QUANTITIES, check, parse_limit
from edgeq.analyze.compare.memory import memory_changes
from edgeq.analyze.compare.pairing import File, Side, paired
from edgeq.analyze.compare.quality import quality_changes
from edgeq.analyze.compare.runs import Pair
from edgeq.analyze.compare.speed import speed_changes
from edgeq.errors import InputError
from edgeq.records import Note
from edgeq.records.compare import Compared, ComparisonReport

__all__ = ["QUANTITIES", "Side", "check", "compare", "parse_limit"]

# Of so many comparisons between things that are alike, one is expected to be called a difference.
_MANY = 20


def compare(a: Side, b: Side) -> ComparisonReport:
    """Every quantity that both sides have, file by file, B against the baseline A.

    Files are paired by their hash, then by recipe name or file type; one file on each side is a pair whatever it is.
    Raises InputError where the sides have nothing in common.
    """
    pairs, alone = paired(a, b)
    everything = [*configurations(a.benches), *configurations(b.benches)]
    found = tuple(c for ours, theirs in pairs for c in _compared(ours, theirs, everything))
    unpaired = (*alone, *(text for ours, theirs in pairs for text in _more(ours, theirs)))
    if not any(c.changes for c in found):
        raise InputError(
            "There is nothing to compare: the two sides have no file, or no quantity of a file, in common.",
            "Give two run folders of the same model, or two records of one kind.",
        )
    return ComparisonReport(found, unpaired, tuple(_notes(found)))


def _compared(a: File, b: File, everything: Sequence[Configuration]) -> Iterable[Compared]:
    """One for each configuration that both were measured in; the quality is with the first."""
    quality = quality_changes(a.evals, b.evals)
    name = a.name if a.name == b.name else f"{a.name} → {b.name}"
    for ours, theirs in _matched(configurations(a.benches), configurations(b.benches)):
        differing = differences(ours, theirs)
        pair = Pair(ours, theirs, everything, differing)
        changes = (*speed_changes(pair), *energy_changes(pair), *memory_changes(pair), *quality)
        quality = ()
        yield Compared(name, a.model.sha256, b.model.sha256, differing, changes)
    if quality:
        yield Compared(name, a.model.sha256, b.model.sha256, of_evals(a.evals[0], b.evals[0]), quality)


def _matched(a: Sequence[Configuration], b: Sequence[Configuration]) -> Iterable[tuple[Configuration, Configuration]]:
    """Configurations that differ in the fewest things first, each of them once."""
    taken: set[int] = set()
    for ours, theirs in sorted(itertools.product(a, b), key=lambda pair: len(differences(*pair))):
        if not taken & {id(ours), id(theirs)}:
            taken |= {id(ours), id(theirs)}
            yield ours, theirs


def _more(a: File, b: File) -> Iterable[str]:
    """What one side has measured in more configurations than the other."""
    n = [len(configurations(file.benches)) for file in (a, b)]
    for name, file, more in (("A", a, n[0] - n[1]), ("B", b, n[1] - n[0])):
        if more > 0:
            yield f"{name}: {file.name} in {more} configuration{'' if more == 1 else 's'}"


def _notes(found: Sequence[Compared]) -> Iterable[Note]:
    changes = [change for c in found for change in c.changes if change.verdict != "not comparable"]
    if any(change.assumed for change in changes):
        yield Note(
            "assumed-spread",
            "What two runs of one thing differ by is not known where each was run once: the intervals assume a "
            "standard deviation of 1 % between runs, or that of the repetitions where it is larger.",
            "Records of `edgeq bench --interleave` have several runs of each file, and finer intervals.",
        )
    n = sum(change.ci95 is not None and change.ci95[0] < change.ci95[1] for change in changes)
    if n >= _MANY:
        yield Note(
            "many-comparisons",
            f"Of {n} comparisons at 95 %, about {n / 20:.0f} would differ by chance if nothing had changed.",
        )
