"""The page's results: each a function from a Summary to a piece of HTML, empty where there is no data."""

from __future__ import annotations

from edgeq.records import Summary
from edgeq.report import comparison, cost, energy, refined
from edgeq.report.all_plots import Plots
from edgeq.report.charts import Chart
from edgeq.report.columns import headline
from edgeq.report.embedded import NAME, Kept
from edgeq.report.further import further
from edgeq.report.html_plots import chooser, panels, single
from edgeq.report.html_table import html_table
from edgeq.report.markup import bullets, definitions, paragraphs, safe, section
from edgeq.report.rows import devices, notes, on_front, ordered
from edgeq.report.subjects import listed
from edgeq.report.tables import Item, Part
from edgeq.report.wording import FRONT, lede, legend, text_name


def header(summary: Summary) -> str:
    """Title, one sentence, and how many notes there are to read."""
    n_notes = len(notes(summary))
    link = f'<a href="#notes">{n_notes} note{"" if n_notes == 1 else "s"}</a> below.' if n_notes else ""
    lead = f'<p class="lede">{safe(lede(summary))} {link}</p>'
    facts = definitions(_facts(summary)).replace("<dl>", '<dl class="facts">', 1)
    return f"<header>\n<h1>{safe(summary.title)}</h1>\n{lead}\n{facts}\n</header>"


def _facts(summary: Summary) -> list[tuple[str, str]]:
    """What was measured, where, with which build, at a glance."""
    rows = ordered(summary)
    n_files, n_on = len({row.sha256 for row in rows}), len(summary.front)
    commit = f"llama.cpp {summary.llama_commit[:12]}" if summary.llama_commit else ""
    backends = list(dict.fromkeys(row.backend for row in rows if row.backend))
    builds = list(dict.fromkeys(row.build[:12] for row in rows if row.build))
    modes = list(dict.fromkeys(row.power_mode for row in rows if row.power_mode))
    built = [f"backend{_s(backends)} {listed(backends)}"] if backends else []
    built += [f"build {builds[0]}"] if len(builds) == 1 else [f"{len(builds)} builds"] if builds else []
    where = listed(few) if (few := devices(rows)) and len(few) < 4 else f"{len(few)} devices"
    return [
        ("Measured", f"{n_files} file{'' if n_files == 1 else 's'}{f', {n_on} on the front' if n_on else ''}"),
        ("Where", where if rows else ""),
        ("Power mode", listed(modes)),
        ("Build", ", ".join(part for part in (commit, *built) if part)),
        ("Text", listed([text_name(corpus) for corpus in summary.corpus])),
    ]


def _s(names: list[str]) -> str:
    return "" if len(names) == 1 else "s"


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


def quality_figure(summary: Summary, plots: Plots) -> str:
    """Quality against size."""
    if not plots.quality:
        return ""
    chart = plots.quality[0]
    absent = [row for row in ordered(summary) if row.reference and row.quality and not row.quality.kld]
    caption = "Bars are one standard error. "
    if chart.y.is_log and absent:
        caption += f"The reference ({safe(absent[0].file_type)}) has no mark: the others are measured against it. "
    if any(point.on_front for point in chart.points):
        caption += "Filled marks joined by steps are on the front. "
    return section("quality", "Quality against size", single(chart, caption))


def speed_figure(plots: Plots) -> str:
    """Tokens per second against quality, one small plot for each test and device."""
    caption = f"Higher is better. Bars are one standard error. {_filled(plots.speed)}{_at_floor(plots.speed)}"
    return section("speed", "Tokens per second against quality", panels(plots.speed, caption)) if plots.speed else ""


def memory_figure(plots: Plots) -> str:
    """Memory against quality."""
    caption = f"Lower is better. {_filled(plots.memory)}{_at_floor(plots.memory)}"
    return section("memory", "Memory against quality", panels(plots.memory, caption)) if plots.memory else ""


def _filled(charts: list[Chart]) -> str:
    front = any(point.on_front for chart in charts for point in chart.points)
    return "Filled marks are on the front of quality and size. " if front else ""


def _at_floor(charts: list[Chart]) -> str:
    known = any(chart.x.floor is not None and point.reference for chart in charts for point in chart.points)
    return "The reference has a KLD of 0 by definition, and stands at the left end. " if known else ""


def energy_part(summary: Summary, plots: Plots) -> str:
    """What the figures include, gross energy against quality, and every figure at every scope."""
    caption = (
        "Gross energy; lower is better. Bars are one standard uncertainty. The sensor's own error is in every bar and "
        "shared by all files that it measured, so the differences between them are surer than the bars suggest. "
    )
    figure = panels(plots.energy, f"{caption}{_at_floor(plots.energy)}") if plots.energy else ""
    return _part("energy", energy.part(summary), "Energy and power of every test, the widest scope first.", figure)


def run_figures(plots: Plots) -> str:
    """What the records show beyond the summary: over time, of single tokens, by position."""
    found = (
        ("run", "Within a run", "Run", plots.run,
         "Does the device slow down while it works? Each dot is a repetition or a part of one."),
        ("latency", "Time of single tokens", "Run", plots.latency,
         "Median over the repetitions; the band holds 90 % of them. The first token is left out."),
        ("position", "KLD by position in the chunk", "Files", plots.position,
         "Tokens further on in a chunk were predicted from more context. Each mark is the mean over all chunks."),
    )  # fmt: skip
    return "\n".join(
        section(name, title, chooser(what, block, caption))
        for name, title, what, block, caption in found
        if block.choices
    )


def download(kept: Kept | None, n_bytes: int) -> str:
    """The button for the records that the page holds, and what is not in them."""
    if kept is None:
        return ""
    left = f" Left out to keep the page small: {kept.left_out}; the run's folder has them." if kept.left_out else ""
    what = "Everything that this page was made from, as JSON compressed with gzip." + left
    return section("records", "Raw records", f"<p>{what}</p>\n{button(NAME, n_bytes)}")


def button(name: str, n_bytes: int) -> str:
    """What hands out the records as a file of this name."""
    size = f"{n_bytes / 1e6:.1f} MB" if n_bytes >= 1e5 else f"{n_bytes / 1e3:.1f} kB"
    return f'<p><button type="button" class="download" data-name="{name}">Download the records ({size})</button></p>'


def cost_part(summary: Summary) -> str:
    """Money per million tokens, and what it rests on."""
    return _part("cost", cost.part(summary), "Cost per million tokens.")


def comparison_part(summary: Summary) -> str:
    """Pairs of files measured in turns."""
    return _part("turns", comparison.part(summary), "Ratios of files measured in turns.")


def refined_part(summary: Summary) -> str:
    """Refined files against their counterparts."""
    return _part("refined", refined.part(summary), "Ratios of the KLD of refined files.")


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
