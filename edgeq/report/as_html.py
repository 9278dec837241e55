"""The report as one self-contained page: nothing is loaded, and its tables need no script."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

import msgspec

from edgeq.records import BenchRecord, EvalRecord, Summary
from edgeq.records.advice import Advice
from edgeq.report import background, drawing, embedded, sections
from edgeq.report.advice import advice_section
from edgeq.report.all_plots import Plots, drawable
from edgeq.report.markup import paragraphs, safe
from edgeq.report.script import SCRIPT
from edgeq.report.style import STYLE
from edgeq.report.theme import themes

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
        sections.comparison_part(summary),
        background.composition(summary),
        sections.note_list(summary),
        background.how_measured(summary, any(block.choices for block in plots.blocks)),
        background.terms(summary),
        sections.download(kept, len(data)),
    )
    body = "\n".join(part for part in parts if part)
    scripts, blocks = _scripts(plots), _blocks(plots, data)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_policy(scripts)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{safe(summary.title)}</title>
<style>{STYLE}</style>
</head>
<body>
<main>
{body}
</main>
<p id="said" class="said" aria-live="polite"></p>
{blocks}
{"".join(f"<script>{script}</script>" for script in scripts)}
</body>
</html>
"""


def _scripts(plots: Plots) -> list[str]:
    """The library only where something is drawn: it is most of a small page."""
    return [drawing.script(), SCRIPT] if plots.encoded else [SCRIPT]


def _blocks(plots: Plots, data: bytes) -> str:
    """What the scripts read. The look of the plots is said once for all of them."""
    found = []
    if plots.encoded:
        raw = {name: msgspec.Raw(spec) for name, spec in plots.encoded.items()}
        found.append(embedded.block("plot-data", embedded.packed({"plots": raw, "themes": themes()})))
    if data:
        found.append(embedded.block("record-data", data))
    return "\n".join(found)


def _policy(scripts: list[str]) -> str:
    """Only this very style sheet and these scripts, by their hashes; nothing from anywhere; no code made of text."""
    allowed = " ".join(_hash(script) for script in scripts)
    return (
        f"default-src 'none'; style-src {_hash(STYLE)}; script-src {allowed}; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    """A source expression of a Content-Security-Policy for inline ``text``."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
