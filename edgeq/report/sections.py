"""The page's results: each a function from a Summary to a piece of HTML, empty where there is no data."""

from __future__ import annotations

from html import escape

from edgeq.records import Summary
from edgeq.report.charts import quality_chart, speed_charts
from edgeq.report.columns import Column, columns, marks, more_columns
from edgeq.report.figures import Cell
from edgeq.report.markup import safe, section
from edgeq.report.plot import Chart, layout, marker, svg
from edgeq.report.rows import FAMILIES, notes, on_front, ordered
from edgeq.report.wording import FRONT, lede

WIDE, NARROW = (1040, 500), (360, 420)
PANEL, NARROW_PANEL = (500, 370), (360, 340)


def header(summary: Summary) -> str:
    """Title, one sentence, and how many notes there are to read."""
    n_notes = len(notes(summary))
    link = f'<a href="#notes">{n_notes} note{"" if n_notes == 1 else "s"}</a> below.' if n_notes else ""
    lead = f'<p class="lede">{safe(lede(summary))} {link}</p>'
    return f"<header>\n<h1>{safe(summary.title)}</h1>\n{lead}\n</header>"


def results(summary: Summary) -> str:
    """The headline table, and a folded one with everything else."""
    if not summary.rows:
        return ""
    caption = "One row for each file, the reference first, then by bits per parameter. “-” is not measured."
    if any(on_front(summary, row) for row in summary.rows):
        caption += f" {FRONT}"
    body = _table(summary, columns(summary), caption)
    more = more_columns(summary)
    if more:
        shown = [*[column for column in columns(summary) if column.is_text or column.heading == "bpw"], *more]
        inner = _table(summary, shown, "Further quality and latency figures for the same files.")
        body += f"\n<details>\n<summary>Further figures</summary>\n{inner}\n</details>"
    return section("results", "Results", body)


def _table(summary: Summary, shown: list[Column], caption: str) -> str:
    head = "".join(
        f'<th scope="col"{" class=text" if column.is_text else ""}>{safe(column.heading)}'
        f"{f' <span class=unit>{safe(column.unit)}</span>' if column.unit else ''}</th>"
        for column in shown
    )
    lines = []
    widths = [max((len(column.cell(row).error) for row in summary.rows), default=0) for column in shown]
    for row in ordered(summary):
        kinds = " ".join(marks(summary, row))
        cells = "".join(
            _cell(column, column.cell(row), width, marks(summary, row))
            for column, width in zip(shown, widths, strict=True)
        )
        lines.append(f'<tr class="{kinds}">{cells}</tr>')
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(caption.split(".")[0])}">\n'
        f'<table class="sortable">\n<caption><span>{escape(caption)}</span></caption>\n'
        f"<thead><tr>{head}</tr></thead>\n"
        "<tbody>\n" + "\n".join(lines) + "\n</tbody>\n</table>\n</div>"
    )


def _cell(column: Column, cell: Cell, width: int, words: list[str]) -> str:
    if column.heading == "File type":
        tags = "".join(f' <span class="tag {word}">{word}</span>' for word in words)
        return f'<th scope="row" class="name">{safe(cell.text)}{tags}</th>'
    if column.is_text:
        return f'<td class="text">{safe(cell.text)}</td>'
    number = "" if cell.number is None else f' data-n="{cell.number!r}"'
    error = f'<span class="se"> ±{escape(cell.error)}</span>' if cell.error else ""
    kind = f' class="e{min(width, 12)}"' if error else ""
    return f"<td{number}{kind}>{escape(cell.text)}{error}</td>"


def quality_figure(summary: Summary) -> str:
    """Quality against size."""
    chart = quality_chart(summary)
    if not chart:
        return ""
    absent = [row for row in ordered(summary) if row.reference and row.quality and not row.quality.kld]
    caption = "Bars are one standard error. "
    if chart.log_y and absent:
        caption += f"The reference ({safe(absent[0].file_type)}) has no point: the others are measured against it. "
    if any(point.on_front for point in chart.points):
        caption += "Filled marks joined by steps are on the front. "
    caption += _unlabeled([(chart, WIDE), (chart, NARROW)])
    return section("quality", "Quality against size", _figure(_drawn(chart, WIDE, NARROW), caption, [chart]))


def speed_figure(summary: Summary) -> str:
    """Tokens per second against size, one small plot for each test and device."""
    charts = speed_charts(summary)
    if not charts:
        return ""
    panels = "\n".join(_drawn(chart, PANEL, NARROW_PANEL) for chart in charts)
    caption = "Higher is better. Bars are one standard error. "
    if any(point.on_front for chart in charts for point in chart.points):
        caption += "Filled marks are on the front of quality and size. "
    if any(layout(chart, *PANEL).y.low > 0 for chart in charts):
        caption += "Not every vertical axis starts at zero. "
    caption += _unlabeled([(chart, extent) for chart in charts for extent in (PANEL, NARROW_PANEL)])
    body = _figure(f'<div class="panels">\n{panels}\n</div>', caption, charts)
    return section("speed", "Speed against size", body)


def _drawn(chart: Chart, wide: tuple[int, int], narrow: tuple[int, int]) -> str:
    """A drawing for screens and one for phones, of which the style sheet shows one: shrunk text can't be read."""
    return f"<div>\n{svg(chart, *wide, 'wide')}\n{svg(chart, *narrow, 'narrow')}\n</div>"


def _unlabeled(drawn: list[tuple[Chart, tuple[int, int]]]) -> str:
    whole = all(label for chart, extent in drawn for label in layout(chart, *extent).labels)
    return "" if whole else "Points without room for a label are in the table."


def _figure(drawn: str, caption: str, charts: list[Chart]) -> str:
    present = {point.family for chart in charts for point in chart.points}
    keys = "".join(
        f'<span class="key"><svg viewBox="0 0 14 14" aria-hidden="true"><g class="f-{name} on">'
        f'<path class="mark" d="{marker(name, 7, 7)}"/></g></svg>{title}</span>'
        for name, title in FAMILIES.items()
        if name in present
    )
    return f'<figure>\n<p class="keys">{keys}</p>\n{drawn}\n<figcaption>{caption.strip()}</figcaption>\n</figure>'


def note_list(summary: Summary) -> str:
    """Warnings of the summary and of its rows, with what to do about them."""
    items = [
        f"<li>{safe(text)}{f' <span class=hint>{safe(hint)}</span>' if hint else ''}</li>"
        for text, hint in notes(summary)
    ]
    listed = "\n".join(items)
    return section("notes", "Notes", f"<ul>\n{listed}\n</ul>" if items else "")
