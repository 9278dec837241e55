"""The methods as one self-contained page: tables that sort, divergence against bits, and every claim."""

from __future__ import annotations

from collections.abc import Iterator

from edgeq.records import SCHEMA, MethodsTable
from edgeq.report import drawing, embedded
from edgeq.report.as_html import NO_PLOTS
from edgeq.report.html_plots import panels
from edgeq.report.html_table import html_table
from edgeq.report.markup import bullets, definitions, paragraphs, safe, section
from edgeq.report.methods import claims, details, parts, plots, words
from edgeq.report.page import page
from edgeq.report.rows import sentence
from edgeq.report.sections import button
from edgeq.report.tables import Item, Part
from edgeq.report.terms import ALWAYS

NAME = "edgeq-methods.json.gz"
_TERMS = ("KLD", "Top-1", "PPL", "pp, tg", "RSS", "±")
_CAPTION = "Bars are one standard error over chunks of text. Arms that share a file are one mark."


def methods_html(table: MethodsTable) -> str:
    """The whole page; the table as a record is inside."""
    drawn = plots.charts(table) if drawing.can_draw() else []
    data = embedded.packed({"schema": SCHEMA, "kind": "MethodsTable", "record": table})
    body = "\n".join(part for part in _sections(table, panels(drawn, _CAPTION) if drawn else "", len(data)) if part)
    return page(parts.title(table), body, plots.encoded(drawn), data)


def _sections(table: MethodsTable, figure: str, n_bytes: int) -> Iterator[str]:
    yield _header(table)
    yield "" if drawing.can_draw() else paragraphs([NO_PLOTS])
    yield _part("glance", parts.at_a_glance(table), "One row for each arm of each method, in words and figures.")
    yield _part("methods", parts.methods(table), "Every figure of every arm, the reference first.", _folded(table))
    yield section("quality", "Divergence against bits", figure)
    yield section("claims", "Claims", _claims(table))
    yield _part("shipping", parts.shipping(table), "File types as they are deployed.")
    yield _part("floor", details.floor(table), "The reference against itself.")
    yield section("notes", "Notes", _notes(table))
    yield section("settings", "How it was measured", definitions(parts.settings(table)))
    yield section("terms", "Terms", definitions([*words.meanings(), *(t for t in ALWAYS if t[0] in _TERMS)]))
    what = "<p>Everything on this page unrounded, as JSON compressed with gzip.</p>"
    yield section("records", "The table as a record", f"{what}\n{button(NAME, n_bytes)}")


def _header(table: MethodsTable) -> str:
    n = len(table.warnings)
    link = f' <a href="#notes">{n} note{"" if n == 1 else "s"}</a> below.' if n else ""
    return (
        f'<header>\n<h1>{safe(parts.title(table))}</h1>\n<p class="lede">{safe(parts.lede(table))}{link}</p>\n</header>'
    )


def _folded(table: MethodsTable) -> str:
    """What is looked up rather than read."""
    found = (
        _fold(details.rates(table), "Tokens per second of every test."),
        _fold(details.tasks(table), "Every task of every arm."),
        _fold(details.places(table), "Right answers by depth in the context."),
    )
    return "\n".join(piece for piece in found if piece)


def _fold(part: Part[Item] | None, caption: str) -> str:
    if part is None:
        return ""
    inner = f"{paragraphs(part.about)}\n{html_table(part.table, caption)}".strip()
    return f"<details>\n<summary>{part.title}</summary>\n{inner}\n</details>"


def _part(name: str, part: Part[Item] | None, caption: str, more: str = "") -> str:
    if part is None:
        return ""
    body = [paragraphs(part.about), html_table(part.table, caption), bullets(part.remarks), more]
    return section(name, part.title, "\n".join(piece for piece in body if piece))


def _claims(table: MethodsTable) -> str:
    """Each claim with all of its sides: the verdict, what was looked at, and what was measured."""
    if not table.claims:
        return ""
    body = [paragraphs([claims.ABOUT, claims.tally(table.claims)])]
    for text, sides in claims.by_text(table.claims).items():
        items = "\n".join(
            f"<li><strong>{safe(side.verdict)}</strong> {safe(side.aspect)}<br>"
            f"<span class=hint>{safe(claims.said(side))}</span></li>"
            for side in sides
        )
        body.append(f'<h3>{safe(text)}</h3>\n<ul class="remarks">\n{items}\n</ul>')
    return "\n".join(body)


def _notes(table: MethodsTable) -> str:
    items = [
        f"<li>{safe(sentence(note.text))}{f' <span class=hint>{safe(note.hint)}</span>' if note.hint else ''}</li>"
        for note in table.warnings
    ]
    listed = "\n".join(items)
    return f"<ul>\n{listed}\n</ul>" if items else ""
