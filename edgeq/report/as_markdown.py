"""The report as Markdown (GitHub's kind), for a model card or an issue."""

from __future__ import annotations

import re

from edgeq.records import Row, Summary
from edgeq.report.columns import Column, columns, marks
from edgeq.report.rows import notes, on_front, ordered, plain
from edgeq.report.wording import FRONT, lede


def markdown(summary: Summary) -> str:
    """Title, one sentence, the headline table and the notes. "-" is not measured."""
    shown = columns(summary)
    rows = ordered(summary)
    lines = [f"# {escaped(summary.title)}", "", escaped(lede(summary)), ""]
    lines.append(_line([escaped(column.title) for column in shown]))
    lines.append(_line([":---" if column.is_text else "---:" for column in shown]))
    lines += [_line([_cell(summary, column, row) for column in shown]) for row in rows]
    if any(on_front(summary, row) for row in rows):
        lines += ["", f"**Bold**: {FRONT[0].lower()}{FRONT[1:]}"]
    found = notes(summary)
    if found:
        lines += ["", "## Notes", ""]
        lines += [f"- {escaped(f'{text} {hint}'.strip())}" for text, hint in found]
    return "\n".join(lines) + "\n"


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


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(summary: Summary, column: Column, row: Row) -> str:
    cell = str(column.cell(row))
    # A lone dash is data here; escaping it as a list would only make the source ugly.
    text = escaped(cell) if column.is_text else cell
    if column.heading != "File type":
        return text
    words = marks(summary, row)
    text = f"**{text}**" if "front" in words else text
    return f"{text} (reference)" if "reference" in words else text
