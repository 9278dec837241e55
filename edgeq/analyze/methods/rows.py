"""One row of the table of methods from all that is known of an arm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from edgeq.analyze.methods import fidelity, resources, tasks
from edgeq.analyze.methods.facts import ArmFacts, weight_bpw
from edgeq.analyze.methods.stability import stability
from edgeq.analyze.speed import speeds
from edgeq.records import MethodRow

# method -> its number and title.
Titles = Mapping[str, tuple[int, str]]


def rows(
    arms: Sequence[ArmFacts], reference: ArmFacts, titles: Titles, groups: Mapping[str, str]
) -> tuple[MethodRow, ...]:
    """One row for each arm, in the same order."""
    found = [row(arm, reference, titles, groups) for arm in arms]
    results = tasks.corrected([r.tasks for r in found])
    return tuple(msgspec.structs.replace(r, tasks=done) for r, done in zip(found, results, strict=True))


def row(facts: ArmFacts, reference: ArmFacts, titles: Titles, groups: Mapping[str, str]) -> MethodRow:
    """All figures of an arm; those that are not the method's own are None."""
    number, title = titles.get(facts.arm.method, (0, ""))
    model = facts.model
    if model is None or facts.skipped:
        return MethodRow(facts.arm, number, title, facts.skipped or "It was not made.")
    itself = facts is reference
    own_size = facts.has_size
    return MethodRow(
        arm=facts.arm,
        number=number,
        title=title,
        sha256=model.sha256,
        n_bytes=model.all_bytes if own_size else None,
        bpw=model.bpw if own_size else None,
        weight_bpw=weight_bpw(model),
        size_reduction=None if itself else resources.size_reduction(facts, reference),
        rss_reduction=None if itself else resources.rss_reduction(facts, reference),
        rss_peak_bytes=resources.rss_peak(facts),
        quality=fidelity.by_text(facts.evals),
        late_kld_ratio=fidelity.late_kld_ratio(facts.long_eval) if facts.long_eval else None,
        tasks=tasks.results(facts.tasks, reference.tasks, groups),
        groups={} if itself else tasks.by_group(facts.tasks, reference.tasks, groups),
        stability=stability(facts.generation, reference.generation) if facts.generation else None,
        speeds=speeds(facts.bench) if facts.bench and facts.has_speed else (),
        speedups={} if itself else resources.speedups(facts, reference),
        energies=resources.used(facts),
        seconds=facts.seconds,
    )
