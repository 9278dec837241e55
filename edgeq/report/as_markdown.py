"""The report as Markdown (GitHub's kind), for a model card or an issue."""

from __future__ import annotations

import re

from edgeq.records import Summary
from edgeq.report.columns import headline
from edgeq.report.rows import notes, on_front, ordered, plain
from edgeq.report.tables import Item, Table
from edgeq.report.wording import FRONT, lede, parts, remarks


def markdown(summary: Summary) -> str:
    """Title, one sentence, the tables and the notes. "-" is not measured."""
    lines = [f"# {escaped(summary.title)}", "", escaped(lede(summary)), "", *table_lines(headline(summary))]
    if any(on_front(summary, row) for row in ordered(summary)):
        lines += ["", f"**Bold**: {FRONT[0].lower()}{FRONT[1:]}"]
    lines += paragraphs(remarks(summary))
    for part in parts(summary):
        lines += ["", f"## {part.title}"]
        lines += [*paragraphs(part.about), "", *table_lines(part.table)] if part.table.items else []
        lines += ["", *bullets(part.remarks)] if part.remarks else []
    found = notes(summary)
    if found:
        lines += ["", "## Notes", "", *bullets([f"{text} {hint}".strip() for text, hint in found])]
    return "\n".join(lines) + "\n"


def paragraphs(sentences: list[str]) -> list[str]:
    """Lines of Markdown, a blank one before each sentence."""
    return [line for text in sentences for line in ("", escaped(text))]


def bullets(sentences: list[str]) -> list[str]:
    """A list."""
    return [f"- {escaped(text)}" for text in sentences]


def escaped(text: str) -> str:
    """``text`` so that Markdown shows it as it is: no markup, no HTML, no links, no table breaks."""
    text = plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"([\\`*\[\]|~$#{}!])", r"\\\1", text)
    # Underscores inside words, as in Q4_K_M, are not markup and read better bare.
    text = re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", text)
    text = re.sub(r"^([-+]|\d+(?=[.)]))(?=\s|[.)])", lambda match: _entity(match[1][0]) + match[1][1:], text)
    # Bare addresses become links on GitHub.
    text = re.sub(r":(?=//)", "&#58;", text)
    return re.sub(r"(?i)\bwww\.", lambda match: f"{match[0][:-1]}&#46;", text)


def _entity(character: str) -> str:
    return f"&#{ord(character)};"


def table_lines(table: Table[Item]) -> list[str]:
    """Heading, rule and one line for each item."""
    headings = _line([escaped(column.title) for column in table.columns])
    rule = _line([":---" if column.is_text else "---:" for column in table.columns])
    return [headings, rule, *(_line(_cells(table, item)) for item in table.items)]


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(table: Table[Item], item: Item) -> list[str]:
    # Numbers need no escaping, which would only make the source ugly.
    found = []
    for column in table.columns:
        cell = column.cell(item)
        text = escaped(cell.text) if column.is_text else cell.figure
        found.append(f"{text} {escaped(cell.word)}" if cell.word else text)
    words = table.marks(item)
    found[0] = f"**{found[0]}**" if "front" in words else found[0]
    found[0] = f"{found[0]} (reference)" if "reference" in words else found[0]
    return found
