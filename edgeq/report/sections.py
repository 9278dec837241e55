"""The page's results: each a function from a Summary to a piece of HTML, empty where there is no data."""

from __future__ import annotations

from edgeq.records import Summary
from edgeq.report import comparison, cost, energy
from edgeq.report.charts import energy_charts, quality_chart, speed_charts
from edgeq.report.columns import headline
from edgeq.report.further import further
from edgeq.report.html_figure import panels, single
from edgeq.report.html_table import html_table
from edgeq.report.markup import bullets, paragraphs, safe, section
from edgeq.report.rows import notes, on_front, ordered
from edgeq.report.tables import Item, Part
from edgeq.report.wording import FRONT, lede, legend


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
    body = html_table(headline(summary), " ".join([caption, *legend(summary)]))
    more = further(summary)
    if more:
        inner = html_table(more, "Further figures for the same files.")
        body += f"\n<details>\n<summary>Further figures</summary>\n{inner}\n</details>"
    return section("results", "Results", body)


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
    return section("quality", "Quality against size", single(chart, caption))


def speed_figure(summary: Summary) -> str:
    """Tokens per second against size, one small plot for each test and device."""
    charts = speed_charts(summary)
    if not charts:
        return ""
    caption = "Higher is better. Bars are one standard error. "
    if any(point.on_front for chart in charts for point in chart.points):
        caption += "Filled marks are on the front of quality and size. "
    return section("speed", "Speed against size", panels(charts, caption))


def energy_part(summary: Summary) -> str:
    """What the figures include, gross energy against size, and every figure at every scope."""
    charts = energy_charts(summary)
    caption = (
        "Gross energy; lower is better. Bars are one standard uncertainty. The sensor's own error is in every bar and "
        "shared by all files that it measured, so the differences between them are surer than the bars suggest. "
    )
    figure = panels(charts, caption) if charts else ""
    return _part("energy", energy.part(summary), "Energy and power of every test, the widest scope first.", figure)


def cost_part(summary: Summary) -> str:
    """Money per million tokens, and what it rests on."""
    return _part("cost", cost.part(summary), "Cost per million tokens.")


def comparison_part(summary: Summary) -> str:
    """Pairs of files measured in turns."""
    return _part("turns", comparison.part(summary), "Ratios of files measured in turns.")


def _part(name: str, part: Part[Item] | None, caption: str, figure: str = "") -> str:
    if not part:
        return ""
    drawn = html_table(part.table, caption) if part.table.items else ""
    body = [paragraphs(part.about), figure, drawn, bullets(part.remarks)]
    return section(name, part.title, "\n".join(piece for piece in body if piece))


def note_list(summary: Summary) -> str:
    """Warnings of the summary and of its rows, with what to do about them."""
    items = [
        f"<li>{safe(text)}{f' <span class=hint>{safe(hint)}</span>' if hint else ''}</li>"
        for text, hint in notes(summary)
    ]
    listed = "\n".join(items)
    return section("notes", "Notes", f"<ul>\n{listed}\n</ul>" if items else "")
