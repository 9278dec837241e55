"""Files of chosen sizes against llama.cpp's own types: which of them is worth its bytes, on which text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from edgeq.analyze.methods.fidelity import by_text, text_of
from edgeq.analyze.refined import kld_over
from edgeq.records import (
    Allocation,
    EvalRecord,
    Figure,
    Front,
    FrontRow,
    Gguf,
    Note,
    Sensitivities,
    Verdict,
)

# Beyond it damages no longer add up, and a smaller model with more bits a weight is the better one.
_USEFUL_KLD = 0.5


def budget_front(
    found: Sensitivities,
    allocations: Sequence[Allocation],
    mixes: Sequence[Gguf],
    stock: Sequence[Gguf],
    evals: Sequence[EvalRecord],
    notes: Iterable[Note] = (),
) -> Front:
    """``mixes``: a file of each allocation, in their order. ``evals``: of all files on each text."""
    by_file: dict[str, list[EvalRecord]] = {}
    for record in evals:
        if record.kld_f32:
            by_file.setdefault(record.model.sha256, []).append(record)
    rivals = [(file, by_file[file.sha256]) for file in stock]
    rows = [_row(file, by_file[file.sha256], "stock") for file in stock]
    for allocation, file in zip(allocations, mixes, strict=True):
        rows.append(_mix(allocation, file, by_file[file.sha256], rivals))
    rows.sort(key=lambda row: (row.n_bytes, row.kind, row.name))
    best = {a.target: _best(a, rows) for a in allocations}
    first = evals[0]
    return Front(
        model=found.model,
        host=first.host,
        llama_commit=first.build.llama_commit,
        settings=first.settings,
        n_tokens={text_of(e): e.n_tokens for e in evals},
        probed={
            "by": found.probe_by,
            "probes": len(found.probes) + len(found.whole),
            "tokens": found.n_tokens,
            "texts": ", ".join(c.name for c in found.corpus),
            "types": ", ".join(found.types),
            "seconds": found.seconds,
        },
        rows=tuple(rows),
        allocations=tuple(allocations),
        best=best,
        warnings=(*notes, *_notes(allocations, rows, best)),
    )


def _row(file: Gguf, evals: Sequence[EvalRecord], kind: str) -> FrontRow:
    name = file.recipe.name if file.recipe else file.file_type
    return FrontRow(
        name=name,
        kind="stock" if kind == "stock" else "mix",
        sha256=file.sha256,
        n_bytes=file.n_bytes,
        bpw=file.bpw,
        folded=bool(file.recipe and file.recipe.options.get("fold")),
        refined=bool(file.recipe and file.recipe.refine),
        quality=by_text(evals),
    )


def _mix(
    a: Allocation, file: Gguf, evals: Sequence[EvalRecord], stock: Sequence[tuple[Gguf, list[EvalRecord]]]
) -> FrontRow:
    names, figures = {}, {}
    for ours in evals:
        text = text_of(ours)
        theirs = [
            (mean_kld(e), f, e) for f, es in stock for e in es if f.n_bytes <= file.n_bytes and text_of(e) == text
        ]
        if not theirs:
            continue
        _, rival, record = min(theirs, key=lambda t: (t[0], t[1].n_bytes))
        names[text] = rival.recipe.name if rival.recipe else rival.file_type
        figures[text] = kld_over(ours, record)
    row = _row(file, evals, "mix")
    return FrontRow(
        **{
            **{f: getattr(row, f) for f in row.__struct_fields__},
            "target": a.target,
            "predicted_kld": None if row.refined else a.predicted_kld,  # probes are of what the encoder makes
            "rivals": names,
            "against": figures,
            "verdict": _verdict(figures),
        }
    )


def _verdict(figures: Mapping[str, Figure]) -> Verdict:
    """Better where it is on every text, beyond the interval; worse where it is on any."""
    if not figures:
        return "no stock"
    ends = [f.ci95 or (0.0, float("inf")) for f in figures.values()]
    if any(low > 1 for low, _ in ends):
        return "worse"
    return "better" if all(high < 1 for _, high in ends) else "no better"


def _best(a: Allocation, rows: Sequence[FrontRow]) -> str:
    """Of what fits the target: the mix with the least divergence if it is better than stock, else the best stock."""
    fits = [r for r in rows if r.n_bytes <= a.max_bytes]
    mixes = [r for r in fits if r.target == a.target and r.verdict in ("better", "no stock")]
    chosen = mixes or [r for r in fits if r.kind == "stock"] or [r for r in rows if r.target == a.target]
    return min(chosen, key=_over_texts).name


def _over_texts(row: FrontRow) -> float:
    """Geometric mean of the KLD over texts, so that none counts for more because it is harder."""
    klds = [q.kld.value for q in row.quality.values() if q.kld]
    return float(np.exp(np.mean(np.log(np.maximum(klds, 1e-12))))) if klds else float("inf")


def mean_kld(record: EvalRecord) -> float:
    """In nats, over all scored tokens."""
    return float(np.frombuffer(record.kld_f32, "<f4").astype(np.float64).mean())


def _notes(allocations: Sequence[Allocation], rows: Sequence[FrontRow], best: Mapping[str, str]) -> Iterable[Note]:
    mixes = {r.name: r for r in rows if r.kind == "mix"}
    for target, name in best.items():
        if name not in mixes:
            yield Note(
                "no-gain", f"No mix for {target} is better than {name} beyond the interval.", f"Take {name} as it is."
            )
    poor = [r.name for r in mixes.values() if _over_texts(r) > _USEFUL_KLD]
    if poor:
        yield Note(
            "damaged",
            f"{', '.join(poor)} diverge by more than {_USEFUL_KLD} nats: little is left of the model.",
            "A smaller model with more bits a weight is better at this size.",
        )
    guarded = {g.reason for a in allocations for g in a.guards}
    for reason in sorted(guarded):
        n = sum(g.reason == reason for a in allocations for g in a.guards)
        yield Note("guard", f"{n} tensors were kept from going lower: {reason}.")
