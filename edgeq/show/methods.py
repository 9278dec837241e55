"""Records of a comparison of methods: answers to tasks, continuations, and the table."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgeq.records import GenerationRecord, MethodRow, MethodsTable, TaskRecord
from edgeq.show.measured import Facts, condition, named_build, named_model
from edgeq.show.page import Grid, short

Shown = tuple[Facts, tuple[Grid, ...]]


def task(r: TaskRecord) -> Shown:
    """Share of right answers, and what the model gave to their tokens."""
    correct = np.frombuffer(r.correct_u8, np.uint8)
    n_tokens, n_top = (np.frombuffer(data, "<u2").astype(np.int64) for data in (r.n_tokens_u16, r.n_top_u16))
    nll = np.frombuffer(r.nll_f32, "<f4").astype(np.float64)
    facts = (
        ("model", named_model(r.model) + (f", activations {r.activations}" if r.activations else "")),
        *condition(r.host),
        ("build", named_build(r.build)),
        ("items", f"{r.n_items} of {r.task}, level {r.level}, seed {r.seed}, {short(r.items_sha256)}"),
    )
    places = [("all", np.ones(r.n_items, bool))]
    places += [(place, np.array(r.places) == place) for place in dict.fromkeys(r.places)]
    rows = tuple(
        (
            place,
            f"{here.sum()}",
            f"{correct[here].mean():.1%}",
            f"{r.chance:.1%}",
            f"{n_top[here].sum() / n_tokens[here].sum():.1%}",
            f"{nll[here].sum() / n_tokens[here].sum():.4g}",
        )
        for place, here in places
        if here.any()
    )
    return facts, (Grid("Answers", ("items", "n", "right", "chance", "tokens right", "-ln p a token"), rows),)


def generation(r: GenerationRecord) -> Shown:
    """How many continuations of which length, and whether they came out alike."""
    facts = (
        ("model", named_model(r.model)),
        *condition(r.host),
        ("build", named_build(r.build)),
        ("continuations", f"{r.n_prompts} of {r.n_tokens} tokens, prompts {short(r.prompts_sha256)}"),
        ("times", f"{r.n_repeats}, {r.n_equal} of them like the first"),
    )
    return facts, ()


def table(t: MethodsTable) -> Shown:
    """Every arm with its KLD on each text, and the verdicts."""
    facts = [("model", named_model(t.model)), *condition(t.host), ("llama.cpp", t.llama_commit[:12])]
    facts += [("note", f"{n.text} {n.hint}".strip()) for n in t.warnings]
    rows = tuple(_row(row, t.texts) for row in (*t.rows, *t.shipping))
    claims = tuple((c.text, c.aspect, c.verdict) for c in t.claims)
    grids = (
        Grid("Arms", ("method", "arm", "bpw", *(f"KLD {Path(text).name}" for text in t.texts), ""), rows),
        Grid("Claims", ("claim", "of", "verdict"), claims),
    )
    return tuple(facts), grids


def _row(row: MethodRow, texts: tuple[str, ...]) -> tuple[str, ...]:
    klds = [row.quality[text].kld if text in row.quality else None for text in texts]
    bpw = "-" if row.weight_bpw is None else f"{row.weight_bpw:.2f}"
    cells = ("-" if kld is None else f"{kld.value:.4g}" for kld in klds)
    return (row.title or row.arm.method, row.arm.name, bpw, *cells, row.skipped)
