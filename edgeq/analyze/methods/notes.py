"""What has to be said beside the table of methods."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from edgeq.analyze.methods import fidelity, tasks
from edgeq.analyze.methods.facts import FLOATS, ArmFacts
from edgeq.analyze.notes import OFF_LABEL, off_label, row_notes
from edgeq.records import MethodRow, Note

_FEW_TOKENS = 2000
_FEW_CHUNKS = 5


def notes(
    reference: ArmFacts, arms: Sequence[ArmFacts], shipping: Sequence[ArmFacts], rows: Sequence[MethodRow]
) -> Iterable[Note]:
    """Notes on the reference, the amount of text, what is left out and why, and single files."""
    model = reference.model
    if model and (model.requantized or any(t not in FLOATS for t in model.tensor_types)):
        yield Note(
            "requantized",
            f"The reference ({model.file_type}) was quantized before: types on the same grid look better than "
            "they are.",
            "Compare against the F16 or BF16 model, or take the weights off their grid first.",
        )
    yield from _text(reference)
    yield from _left_out(arms)
    if others := _names(facts for facts in arms if facts.model and off_label(facts.model)):
        yield Note(
            OFF_LABEL,
            f"{others}: most of these files' weights have other types than they are named by, which llama.cpp takes "
            "where rows are no multiple of a type's block. Compare them by bits per weight.",
            "`edgeq convert --pad-rows 256` makes every type apply.",
        )
    yield from _tasks(reference)
    if unsteady := [f"{r.arm.name} {test}" for r in rows for test, f in r.speedups.items() if f.ci95 is None]:
        yield Note(
            "unsteady",
            f"These speeds were not steady, so that their ratios have no interval: {', '.join(unsteady)}.",
            "Close other programs, let the device cool, and use more --reps.",
        )
    for facts in shipping:
        yield from row_notes(facts.model) if facts.model else ()


def _text(reference: ArmFacts) -> Iterable[Note]:
    for record in reference.evals:
        size = record.settings.n_ctx - 1 - record.settings.first
        n_chunks = record.n_tokens // size
        if record.n_tokens < _FEW_TOKENS or n_chunks < _FEW_CHUNKS:
            yield Note(
                "few-tokens",
                f"Only {record.n_tokens} tokens in {n_chunks} chunk{'' if n_chunks == 1 else 's'} of "
                f"{fidelity.text_of(record)} were scored: the errors are large, and uncertain themselves.",
                "Use a longer text or more --chunks.",
            )


def _left_out(arms: Sequence[ArmFacts]) -> Iterable[Note]:
    """Which figures are never shown of an arm, because they would be of something else."""
    made = [facts for facts in arms if facts.model and not facts.skipped]
    exact = [facts for facts in made if facts.arm.numerics == "exact"]
    simulated = _names(facts for facts in made if facts.arm.numerics == "simulated")
    containers = _names(facts for facts in exact if not facts.has_size and facts.has_speed)
    unpacked = _names(facts for facts in exact if not facts.has_speed)
    if simulated:
        yield Note(
            "simulated",
            f"{simulated}: activations are overwritten on the way with what such hardware would compute. "
            "Quality is that of the method; size, memory, speed and energy are not, and are left out.",
        )
    if containers:
        yield Note(
            "containers",
            f"{containers}: stored in a type of llama.cpp that repeats each scale, so that the size of the "
            "file and its memory are not the method's own. Bits per weight count each scale once.",
        )
    if unpacked:
        yield Note(
            "unpacked",
            f"{unpacked}: weights are stored as they are after rounding, not packed, so that size, speed "
            "and energy are not the method's own, and are left out.",
        )


def _names(arms: Iterable[ArmFacts]) -> str:
    """Each name once: several methods may show the same file."""
    return ", ".join(dict.fromkeys(facts.arm.name for facts in arms))


def _tasks(reference: ArmFacts) -> Iterable[Note]:
    beyond = [record.task for record in reference.tasks if not tasks.can_do(record)]
    if beyond:
        yield Note(
            "beyond-reference",
            f"The reference itself is hardly better than guessing at {', '.join(dict.fromkeys(beyond))}: there is "
            "nothing to lose, and these tasks are left out of the groups.",
            "Compare the methods on a larger model.",
        )
