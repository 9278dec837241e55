"""The look of plots: fonts, lines and colors, as a Vega-Lite configuration for light and for dark."""

from __future__ import annotations

import re

from edgeq.report.axes import Spec
from edgeq.report.style import DARK, FONT, LIGHT

# For lines of several files: a hue each, in the order of the families of types.
HUES = ("k", "iq", "legacy", "float", "other", "warm")


def colors(palette: str) -> dict[str, str]:
    """The colors of a palette of the style sheet, by name."""
    return dict(re.findall(r"--(\w+): (#\w{6});", palette))


def config(palette: str = LIGHT, font: str = "Helvetica Neue, Arial, sans-serif") -> Spec:
    """How everything is drawn that a specification does not say itself."""
    color = colors(palette)
    text = {"labelColor": color["quiet"], "titleColor": color["ink"], "labelFontSize": 11.5, "titleFontSize": 12.5}
    return {
        "background": color["paper"],
        "font": font,
        "view": {"stroke": None},
        "title": {"color": color["ink"], "anchor": "start", "fontSize": 14, "fontWeight": 600, "offset": 14},
        "axis": {
            **text,
            "titleFontWeight": "normal",
            "gridColor": color["faint"],
            "domainColor": color["quiet"],
            "tickColor": color["quiet"],
            "labelPadding": 5,
            "labelOverlap": "greedy",
            "labelSeparation": 8,
        },
        # The title above the axis, not beside it, is read without turning the head.
        "axisY": {"titleAngle": 0, "titleAlign": "left", "titleAnchor": "end", "titleX": -40, "titleY": -12,
                  "domain": False, "ticks": False, "minExtent": 40},
        "axisX": {"grid": False, "titlePadding": 8},
        "legend": {**text, "title": None, "orient": "bottom", "symbolSize": 80, "symbolStrokeWidth": 1.6,
                   "columnPadding": 18, "labelLimit": 260, "columns": 5},
        "padding": 12,
        "rule": {"color": color["quiet"]},
        "text": {"color": color["ink"], "fontSize": 11},
        "range": {"category": [color[name] for name in HUES]},
        "style": {
            "front": {"stroke": color["quiet"], "strokeWidth": 1.3, "strokeDash": [4, 3]},
            "plain": {"stroke": color["k"], "fill": color["k"]},
        },
    }  # fmt: skip


def themes() -> dict[str, Spec]:
    """Both configurations for the page, where plots are flush with the text."""
    flush = {"padding": {"left": 0, "right": 6, "top": 4, "bottom": 4}}
    return {"light": config(LIGHT, FONT) | flush, "dark": config(DARK, FONT) | flush}
