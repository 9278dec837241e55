"""What has to be said beside the figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from edgeq import stats
from edgeq.records import BenchRecord, EvalRecord, Gguf, Note, Row, Speed

_FLOATS = ("F32", "F16", "BF16")
# Below this share of on-label weights a file's name says little about what is in it.
_MOSTLY = 0.5
# A first configuration that has moved by more than this between beginning and end of a series is worth a word.
_DRIFT = 0.05
OFF_LABEL = "off-label"


def name_of(model: Gguf) -> str:
    """A recipe's name, or the file type."""
    return model.recipe.name if model.recipe else model.file_type


def off_label(model: Gguf) -> bool:
    """Whether less than half of a file's weights have the type that its name promises."""
    return model.on_label is not None and model.on_label < _MOSTLY


def row_notes(model: Gguf) -> Iterable[Note]:
    """Notes on one file."""
    if model.on_label is None or not off_label(model):
        return
    share = f"{model.on_label:.0%}" if model.on_label else "none"
    weights = {t: n / model.n_params for t, n in model.tensor_types.items() if t not in _FLOATS}
    most = sorted(weights, key=lambda t: -weights[t])[:3]
    found = ", ".join(f"{weights[t]:.0%} {t}" for t in most)
    yield Note(
        OFF_LABEL,
        f"{name_of(model)}: {share} of its weights have the type that its name promises. It is {found}, and takes "
        f"{model.bpw:.2f} bits per parameter.",
    )


def warnings(
    rows: Sequence[Row], benches: Sequence[BenchRecord], evals: Sequence[EvalRecord], reference: Gguf | None
) -> Iterable[Note]:
    """Notes that concern more than one row."""
    if any(note.code == OFF_LABEL for row in rows for note in row.notes):
        yield Note(
            "odd-rows",
            "K- and IQ-types need rows that are multiples of 256 values; for other rows llama.cpp uses other types.",
            "Compare such files by bpw, not by name.",
        )
    if reference and (reference.requantized or any(t not in _FLOATS for t in reference.tensor_types)):
        yield Note(
            "requantized",
            f"The reference ({reference.file_type}) was quantized before: every quality figure here is against "
            "weights that already sit on a grid, which makes types on the same grid look better than they are.",
            "Compare against the F16 or BF16 model.",
        )
    if evals and evals[0].n_tokens < 2000:
        yield Note(
            "few-tokens",
            f"Only {evals[0].n_tokens} tokens were scored: the standard errors are large.",
            "Use a longer text or more --chunks.",
        )
    if len({e.tokens_sha256 for e in evals}) > 1 or len({e.reference.sha256 for e in evals}) > 1:
        yield Note("mixed-evals", "The quality figures are not all over the same tokens and reference.")
    if len({b.build.key for b in benches}) > 1:
        yield Note("mixed-builds", "The speeds are not all from the same build of llama.cpp.")
    if len({b.host.condition for b in benches}) > 1:
        yield Note("mixed-hosts", "The speeds are from different machines, power modes or power supplies.")
    if unsteady := [f"{r.name} {s.test}" for r in rows for s in r.speeds if s.state or _scattered(s)]:
        yield Note(
            "unsteady",
            f"These speeds were not steady: {', '.join(unsteady)}.",
            "Close other programs, let the device cool, and use more --reps.",
        )
    yield from _drift_of_anchors(benches)
    yield from {n.code: n for b in benches for n in b.missing}.values()


def _scattered(speed: Speed) -> bool:
    tps = speed.tps
    return tps.se is not None and tps.se > 0.05 * tps.value


def _drift_of_anchors(benches: Sequence[BenchRecord]) -> Iterable[Note]:
    """Configurations that were measured again: the last time against the last time before all that was kept."""
    turns: dict[tuple[object, ...], list[BenchRecord]] = {}
    for b in sorted(benches, key=lambda b: b.turn):
        turns.setdefault(b.configuration, []).append(b)
    for anchors in turns.values():
        if len(anchors) < 2:
            continue
        host = anchors[0].host.condition
        kept = [t[0].begun_ns for t in turns.values() if len(t) == 1 and t[0].host.condition == host]
        if not kept:
            continue
        first = [a for a in anchors if a.begun_ns < min(kept)][-1:] or anchors[:1]
        for test in anchors[0].settings.tests:
            before, after = (stats.timed_s(b, test.name) for b in (first[0], anchors[-1]))
            if len(before) and len(after) and stats.changed(before, after, _DRIFT):
                change = before.mean() / after.mean() - 1
                moved = f"{abs(change):.0%} {'faster' if change > 0 else 'slower'}"
                yield Note(
                    "series-drift",
                    f"{test.name} of {name_of(anchors[0].model)} was {moved} at the end of "
                    "the series than at its beginning: files measured far apart can't be compared.",
                    "Let the device reach its lasting temperature first, or compare two files with --interleave.",
                )
