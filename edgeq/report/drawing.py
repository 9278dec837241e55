"""The plotting library behind one door: Vega and Vega-Lite, whole and offline, from vl-convert."""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec

from edgeq.report.axes import Spec

# Pixels of a PNG for each of the plot's own: sharp on screens of twice the density.
PNG_SCALE = 2.0


def can_draw() -> bool:
    """Whether the library is there: it has no wheels for 32-bit ARM and RISC-V."""
    return find_spec("vl_convert") is not None


def svg(spec: Spec) -> str:
    """The plot as a picture, as it is."""
    import vl_convert

    return vl_convert.vegalite_to_svg(spec)


def png(spec: Spec) -> bytes:
    """The plot as a picture of pixels."""
    import vl_convert

    return vl_convert.vegalite_to_png(spec, scale=PNG_SCALE)


@cache
def script() -> str:
    """Vega, Vega-Lite and vega-embed as one script, which defines ``vegaEmbed`` and needs no network."""
    import vl_convert

    text = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    # Only these could end the script early in a page; in strings and patterns the escape means the same.
    return re.sub(r"(?i)<(?=/script|!--)", r"\\x3c", text)
