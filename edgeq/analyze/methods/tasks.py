"""Tasks against the reference, question by question."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from edgeq import stats
from edgeq.records import Estimate, Figure, GroupResult, TaskRecord, TaskResult
from edgeq.stats.matched import Matched, above_chance, holm, matched

# What the reference must be able to do for a loss to show: so much better than guessing, and hardly by luck.
_LEAD = 0.1
_LUCK = 0.05
Flags = npt.NDArray[np.bool_]


def results(
    arm: Sequence[TaskRecord], reference: Sequence[TaskRecord], groups: Mapping[str, str]
) -> tuple[TaskResult, ...]:
    """One result for each task and level that both did on the same questions; ``p_holm`` is still ``p``."""
    return tuple(_result(ours, theirs, groups.get(ours.task, "")) for ours, theirs in _pairs(arm, reference))


def by_group(
    arm: Sequence[TaskRecord], reference: Sequence[TaskRecord], groups: Mapping[str, str]
) -> dict[str, GroupResult]:
    """Each group's tasks together; groups of which the reference can do nothing are left out."""
    found = {}
    for group in dict.fromkeys(groups.get(record.task, "") for record in arm):
        ours = [record for record in arm if groups.get(record.task, "") == group]
        if group and (together := pooled(ours, reference)):
            found[group] = together
    return found


def pooled(arm: Sequence[TaskRecord], reference: Sequence[TaskRecord]) -> GroupResult | None:
    """All questions of the tasks that the reference can do; None where it can do none."""
    pairs = [(ours, theirs) for ours, theirs in _pairs(arm, reference) if can_do(theirs)]
    if not pairs:
        return None
    ours, theirs = (np.concatenate([_correct(record) for record in side]) for side in zip(*pairs, strict=True))
    both = matched(theirs, ours)
    accuracy = float(theirs.mean())
    lead = accuracy - float(np.concatenate([np.full(r.n_items, r.chance) for _, r in pairs]).mean())
    kept = [1 + change / lead for change in (both.difference.value, *both.ci95)]
    se = both.difference.se
    return GroupResult(
        tasks=tuple(dict.fromkeys(record.task for record, _ in pairs)),
        n_items=both.n,
        reference=accuracy,
        difference=_difference(both),
        kept=Figure(Estimate(kept[0], None if se is None else se / lead), (kept[1], kept[2])),
    )


def can_do(reference: TaskRecord) -> bool:
    """Whether the reference is clearly better than guessing, so that there is something to lose."""
    n_right = int(_correct(reference).sum())
    ahead = n_right / reference.n_items - reference.chance >= _LEAD
    return ahead and above_chance(n_right, reference.n_items, reference.chance) < _LUCK


def corrected(arms: Sequence[tuple[TaskResult, ...]]) -> list[tuple[TaskResult, ...]]:
    """The results of all arms, p-values of each task and level corrected for the number of arms that did it."""
    tasks: dict[tuple[str, int], list[tuple[int, int]]] = {}
    for i, found in enumerate(arms):
        for j, result in enumerate(found):
            tasks.setdefault((result.task, result.level), []).append((i, j))
    table = [list(found) for found in arms]
    for places in tasks.values():
        for (i, j), p in zip(places, holm([table[i][j].p for i, j in places]), strict=True):
            table[i][j] = msgspec.structs.replace(table[i][j], p_holm=p)
    return [tuple(found) for found in table]


def _pairs(arm: Sequence[TaskRecord], reference: Sequence[TaskRecord]) -> Iterator[tuple[TaskRecord, TaskRecord]]:
    theirs = {(r.task, r.level, r.items_sha256): r for r in reference}
    for record in arm:
        if record.n_items and (other := theirs.get((record.task, record.level, record.items_sha256))):
            yield record, other


def _result(ours: TaskRecord, theirs: TaskRecord, group: str) -> TaskResult:
    right, before = _correct(ours), _correct(theirs)
    both = matched(before, right)
    n_tokens = _u16(ours.n_tokens_u16)
    return TaskResult(
        task=ours.task,
        level=ours.level,
        group=group,
        n_items=ours.n_items,
        chance=ours.chance,
        accuracy=stats.share(right.astype(np.float64)),
        reference=stats.share(before.astype(np.float64)),
        difference=_difference(both),
        p=both.p,
        p_holm=both.p,
        flips=both.flips,
        token_accuracy=float(_u16(ours.n_top_u16).sum() / n_tokens.sum()),
        nll_difference=stats.mean((_nll(ours) - _nll(theirs)) / n_tokens),
        by_place=_by_place(ours, right),
    )


def _by_place(record: TaskRecord, right: Flags) -> dict[str, Estimate]:
    places = np.array(record.places)
    return {
        place: stats.share(right[places == place].astype(np.float64)) for place in dict.fromkeys(record.places) if place
    }


def _difference(both: Matched) -> Figure:
    return Figure(both.difference, both.ci95)


def _correct(record: TaskRecord) -> Flags:
    return np.frombuffer(record.correct_u8, np.uint8).astype(np.bool_)


def _nll(record: TaskRecord) -> stats.F64:
    return np.frombuffer(record.nll_f32, "<f4").astype(np.float64)


def _u16(data: bytes) -> stats.F64:
    return np.frombuffer(data, "<u2").astype(np.float64)
