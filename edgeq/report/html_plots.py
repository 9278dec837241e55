"""Plots as HTML: places that the page's script draws into, with headings and captions."""

from __future__ import annotations

from edgeq.report.charts import Chart
from edgeq.report.lines import Block
from edgeq.report.markup import safe

# More than these in one section are chosen from a list.
SIDE_BY_SIDE = 4


def single(chart: Chart, caption: str) -> str:
    """One large plot."""
    return _figure(_place(chart.name), caption)


def panels(charts: list[Chart], caption: str) -> str:
    """Plots side by side, or one at a time where they are many."""
    if any(chart.y.low > 0 for chart in charts):
        caption = f"{caption.rstrip()} Not every vertical axis starts at zero."
    if len(charts) > SIDE_BY_SIDE:
        return _chosen("Plot", {chart.title: [chart.name] for chart in charts}, caption)
    drawn = "\n".join(f"<div>\n<h3>{safe(chart.title)}</h3>\n{_place(chart.name)}\n</div>" for chart in charts)
    return _figure(f'<div class="panels">\n{drawn}\n</div>', caption)


def chooser(what: str, block: Block, caption: str) -> str:
    """The plots of one choice at a time."""
    return _chosen(what, block.choices, caption)


def _chosen(what: str, choices: dict[str, list[str]], caption: str) -> str:
    options = "\n".join(f'<option value="{" ".join(parts)}">{safe(name)}</option>' for name, parts in choices.items())
    label = f'<label class="choose">{safe(what)} <select>\n{options}\n</select></label>'
    return _figure(f'{label}\n<div class="stack"></div>', caption)


def _place(name: str) -> str:
    return f'<div class="plot" data-plot="{name}"></div>'


def _figure(drawn: str, caption: str) -> str:
    said = f"\n<figcaption>{caption.strip()}</figcaption>" if caption else ""
    return f"<figure>\n{drawn}{said}\n</figure>"
