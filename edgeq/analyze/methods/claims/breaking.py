"""Where 2 bits are said to fail: what is left of the reference's lead over chance, and how KLD grows with context."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from edgeq.analyze.methods.claims.choosing import Shown, best, of_bits, why_none
from edgeq.analyze.methods.claims.verdicts import Subject
from edgeq.analyze.methods.facts import ArmFacts
from edgeq.records import Claim

TEXT = "2 bits fail at reasoning, long context and fine numerics"
ALONG = "KLD late in a long context over KLD early"
# To have failed: less than half of the reference's lead over chance is left.
_KEPT = 0.5
_BITS = 2


def breaking(arms: Sequence[Shown], reference: ArmFacts, groups: Mapping[str, str]) -> Iterator[Claim]:
    """Each group of tasks, and the long context, of the best arm with 2 bits: if that one fails, 2 bits fail."""
    arm = best(of_bits(arms, _BITS))
    names = list(dict.fromkeys(groups.values())) or ["tasks"]
    if arm is None:
        reason = why_none(arms, _BITS)
        yield from (Subject(TEXT, aspect).unknown(reason) for aspect in (*names, ALONG))
        return
    for name in names:
        yield _group(arm, name, any(groups.get(t.task) == name for t in reference.tasks))
    subject = Subject(TEXT, ALONG, "×")
    late = arm.row.late_kld_ratio
    if late is None:
        yield subject.unknown("no long context was scored in two chunks or more")
    else:
        yield subject.at_least(late, 1.0, f"{arm.name}, last quarter of the positions over the first")


def _group(arm: Shown, name: str, was_asked: bool) -> Claim:
    subject = Subject(TEXT, f"{name}: share of the reference's lead over chance that is left")
    found = arm.row.groups.get(name)
    if found is None:
        beyond = was_asked and bool(arm.facts.tasks)
        return subject.unknown(
            "the reference itself is hardly better than guessing at these tasks" if beyond else "no task was measured"
        )
    return subject.at_most(found.kept, _KEPT, f"{arm.name}, {found.n_items} questions of {', '.join(found.tasks)}")
