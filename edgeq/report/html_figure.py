"""Plots as HTML: each drawn for screens and for phones, with a key and a caption."""

from __future__ import annotations

from edgeq.report.plot import Chart, layout, marker, svg
from edgeq.report.rows import FAMILIES

WIDE, NARROW = (1040, 500), (360, 420)
PANEL, NARROW_PANEL = (500, 370), (360, 340)


def single(chart: Chart, caption: str) -> str:
    """One large plot."""
    return _figure(_drawn(chart, WIDE, NARROW), f"{caption}{_unlabeled([(chart, WIDE), (chart, NARROW)])}", [chart])


def panels(charts: list[Chart], caption: str) -> str:
    """Small plots side by side."""
    drawn = "\n".join(_drawn(chart, PANEL, NARROW_PANEL) for chart in charts)
    if any(layout(chart, *PANEL).y.low > 0 for chart in charts):
        caption += "Not every vertical axis starts at zero. "
    caption += _unlabeled([(chart, extent) for chart in charts for extent in (PANEL, NARROW_PANEL)])
    return _figure(f'<div class="panels">\n{drawn}\n</div>', caption, charts)


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
