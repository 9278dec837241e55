"""A front as one self-contained page."""

from __future__ import annotations

import math
from collections.abc import Iterator

import msgspec

from edgeq.records import SCHEMA, Front, FrontRow
from edgeq.report import axes, drawing, embedded
from edgeq.report.as_html import NO_PLOTS
from edgeq.report.budgets import parts
from edgeq.report.charts import KLD, Chart, Point
from edgeq.report.figures import estimate, significant
from edgeq.report.html_plots import panels
from edgeq.report.html_table import html_table
from edgeq.report.markup import bullets, definitions, paragraphs, safe, section
from edgeq.report.page import page
from edgeq.report.rows import plain, sentence
from edgeq.report.scatter import scatter
from edgeq.report.sections import button
from edgeq.report.terms import ALWAYS

NAME = "edgeq-front.json.gz"
_FAMILIES = {
    "stock": "llama.cpp's types",
    "mix": "Mixed",
    "folded": "Mixed, scales folded",
    "refined": "Mixed, refined",
    "folded and refined": "Mixed, folded and refined",
    "predicted": "Predicted",
}
_CAPTION = (
    "Bars are one standard error over chunks of text. Predicted points are what the probes add up to: no results."
)
_TERMS = ("KLD", "Top-1", "±")


def budgets_html(front: Front) -> str:
    """The whole page; the front as a record is inside."""
    drawn = charts(front) if drawing.can_draw() else []
    data = embedded.packed({"schema": SCHEMA, "kind": "Front", "record": front})
    body = "\n".join(part for part in _sections(front, drawn, len(data)) if part)
    return page(parts.title(front), body, {c.name: msgspec.json.encode(scatter(c)) for c in drawn}, data)


def charts(front: Front) -> list[Chart]:
    """Divergence against size, one plot for each text."""
    return [_chart(front, i, name) for i, name in enumerate(front.n_tokens, 1)]


def _sections(front: Front, drawn: list[Chart], n_bytes: int) -> Iterator[str]:
    yield f'<header>\n<h1>{safe(parts.title(front))}</h1>\n<p class="lede">{safe(parts.lede(front))}</p>\n</header>'
    yield section("chosen", "What to take", bullets(parts.chosen(front)))
    about = paragraphs([parts.ABOUT])
    yield section("files", "Files", f"{about}\n{html_table(parts.table(front), 'One row for each file.')}")
    yield section("quality", "Divergence against size", panels(drawn, _CAPTION) if drawn else paragraphs([NO_PLOTS]))
    for i, a in enumerate((a for a in front.allocations if not a.recipe.refine), 1):
        caption = "Types chosen by kind of tensor and depth, with their share of the bytes and of the predicted damage."
        yield section(f"types-{i}", f"Types of {plain(a.recipe.name)}", html_table(parts.explained(a), caption))
    notes = "\n".join(
        f"<li>{safe(sentence(n.text))}{f' <span class=hint>{safe(n.hint)}</span>' if n.hint else ''}</li>"
        for n in front.warnings
    )
    yield section("notes", "Notes", f"<ul>\n{notes}\n</ul>" if notes else "")
    yield section("settings", "How it was measured", definitions(parts.settings(front)))
    yield section("terms", "Terms", definitions([t for t in ALWAYS if t[0] in _TERMS]))
    what = "<p>Everything on this page unrounded, as JSON compressed with gzip.</p>"
    yield section("records", "The front as a record", f"{what}\n{button(NAME, n_bytes)}")


def _chart(front: Front, index: int, text: str) -> Chart:
    points = [p for row in front.rows for p in _points(row, text, row.name in front.best.values())]
    x = axes.linear([p.x for p in points], "Bits per weight of the file", from_zero=False)
    y = axes.log([p.y for p in points], KLD)
    title = f"KLD against size, {plain(text)}"
    return Chart(f"front-{index}", title, "Mean KLD", x, y, tuple(points), families=_FAMILIES)


def _points(row: FrontRow, text: str, is_best: bool) -> Iterator[Point]:
    found = row.quality.get(text)
    if found and found.kld and math.isfinite(found.kld.value) and found.kld.value > 0:
        changes = [name for name, done in (("folded", row.folded), ("refined", row.refined)) if done]
        family = "stock" if row.kind == "stock" else " and ".join(changes) or "mix"
        facts = {"File": row.name, "bpw": f"{row.bpw:.3f}", "Mean KLD": f"{estimate(found.kld)} nats"}
        yield Point(row.bpw, found.kld.value, found.kld.se, row.name, facts, family, is_best)
    if row.predicted_kld:
        facts = {"File": f"{row.name}, predicted", "Mean KLD": f"{significant(row.predicted_kld, 3)} nats"}
        yield Point(row.bpw, row.predicted_kld, None, "", facts, "predicted", False)
