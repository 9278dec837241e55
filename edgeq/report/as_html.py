"""The report as one self-contained page: nothing is loaded, and its tables need no script."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from edgeq.records import BenchRecord, EvalRecord, Summary
from edgeq.records.advice import Advice
from edgeq.report import background, drawing, embedded, sections
from edgeq.report.advice import advice_section
from edgeq.report.all_plots import drawable
from edgeq.report.markup import paragraphs
from edgeq.report.page import page

NO_PLOTS = (
    "Without plots: vl-convert-python, which draws them, is not installed. Another machine can make this page anew."
)


def html(
    summary: Summary,
    benches: Sequence[BenchRecord] = (),
    evals: Sequence[EvalRecord] = (),
    advice: Advice | None = None,
) -> str:
    """The whole page. With the raw records it also shows what happened within a run, and hands them out."""
    drawn = drawing.can_draw()
    # Without the library the tables stay, and a sentence says what is missing.
    plots = drawable(summary, benches, evals) if drawn else drawable(msgspec.structs.replace(summary, rows=()))
    kept = embedded.fitting(benches, evals) if benches or evals else None
    data = embedded.records(summary, kept) if kept else b""
    parts = (
        sections.header(summary),
        "" if drawn else paragraphs([NO_PLOTS]),
        advice_section(advice),
        sections.quality_figure(summary, plots),
        sections.results(summary),
        sections.speed_figure(plots),
        sections.energy_part(summary, plots),
        sections.memory_figure(plots),
        sections.run_figures(plots),
        sections.cost_part(summary),
        sections.refined_part(summary),
        sections.comparison_part(summary),
        background.composition(summary),
        sections.note_list(summary),
        background.how_measured(summary, any(block.choices for block in plots.blocks)),
        background.terms(summary),
        sections.download(kept, len(data)),
    )
    return page(summary.title, "\n".join(part for part in parts if part), plots.encoded, data)
