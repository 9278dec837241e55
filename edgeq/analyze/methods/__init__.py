"""Room: raw records of all arms to the table of methods, and what became of the claims. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgeq.analyze.methods.claims import claims
from edgeq.analyze.methods.facts import ArmFacts
from edgeq.analyze.methods.fidelity import by_text, text_of
from edgeq.analyze.methods.notes import notes as notes_on
from edgeq.analyze.methods.rows import Titles, row, rows
from edgeq.errors import InputError
from edgeq.records import BenchRecord, EvalRecord, GenerationRecord, MethodsTable, Note, TaskRecord

__all__ = ["ArmFacts", "methods_table"]


def methods_table(
    reference: ArmFacts,
    arms: Sequence[ArmFacts],
    shipping: Sequence[ArmFacts],
    *,
    floor: Sequence[EvalRecord],
    titles: Titles,
    groups: Mapping[str, str],
    calibration: tuple[str, ...],
    notes: Sequence[Note] = (),
) -> MethodsTable:
    """The table of methods, file types as they are deployed beside it, and a verdict on each claim.

    ``reference``: the source itself, of which every figure is relative. ``floor``: the source against itself, once for
    each text. ``titles``: number and title of each method; ``groups``: of each task. ``calibration``: names of the
    texts whose other half calibration saw. ``notes`` go before those found here. Raises InputError without a record.
    """
    measured = next((record for facts in (reference, *arms, *shipping) for record in _records(facts)), None)
    if reference.model is None or measured is None:
        raise InputError("Nothing of the methods was measured.", "Measure at least fidelity, tasks or bench.")
    arms = sorted(arms, key=lambda facts: titles.get(facts.arm.method, (0, ""))[0])
    first_eval, bench = next(iter(reference.evals), None), reference.bench
    made = rows(arms, reference, titles, groups)
    deployed = rows(shipping, reference, titles, groups)
    own = row(reference, reference, titles, groups)
    return MethodsTable(
        model=reference.model,
        host=measured.host,
        llama_commit=measured.build.llama_commit,
        backend=measured.build.backend,
        texts=tuple(text_of(e) for e in reference.evals),
        n_tokens={text_of(e): e.n_tokens for e in reference.evals},
        calibration=calibration,
        groups=dict(groups),
        eval_settings=first_eval.settings if first_eval else None,
        bench_settings=bench.settings if bench else None,
        floor=by_text(floor),
        reference=own,
        rows=made,
        shipping=deployed,
        claims=claims(reference, (*arms, *shipping), (*made, *deployed), groups),
        warnings=(*notes, *notes_on(reference, arms, shipping, (*made, *deployed))),
    )


def _records(facts: ArmFacts) -> Sequence[BenchRecord | EvalRecord | GenerationRecord | TaskRecord]:
    """All records of an arm."""
    one = [record for record in (facts.bench, facts.long_eval, facts.generation) if record]
    return [*facts.evals, *one, *facts.tasks]
