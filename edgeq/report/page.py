"""The frame of every page: one file, in which nothing is loaded and only its own scripts run."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping

import msgspec

from edgeq.report import drawing, embedded
from edgeq.report.markup import safe
from edgeq.report.script import SCRIPT
from edgeq.report.style import STYLE
from edgeq.report.theme import themes


def page(title: str, body: str, plots: Mapping[str, bytes], data: bytes) -> str:
    """The whole page around ``body``. ``plots``: specifications by name; ``data``: what its button hands out."""
    scripts, blocks = _scripts(plots), _blocks(plots, data)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_policy(scripts)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{safe(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<main>
{body}
</main>
<p id="said" class="said" aria-live="polite"></p>
{blocks}
{"".join(f"<script>{script}</script>" for script in scripts)}
</body>
</html>
"""


def _scripts(plots: Mapping[str, bytes]) -> list[str]:
    """The library only where something is drawn: it is most of a small page."""
    return [drawing.script(), SCRIPT] if plots else [SCRIPT]


def _blocks(plots: Mapping[str, bytes], data: bytes) -> str:
    """What the scripts read. The look of the plots is said once for all of them."""
    found = []
    if plots:
        raw = {name: msgspec.Raw(spec) for name, spec in plots.items()}
        found.append(embedded.block("plot-data", embedded.packed({"plots": raw, "themes": themes()})))
    if data:
        found.append(embedded.block("record-data", data))
    return "\n".join(found)


def _policy(scripts: list[str]) -> str:
    """Only this very style sheet and these scripts, by their hashes; nothing from anywhere; no code made of text."""
    allowed = " ".join(_hash(script) for script in scripts)
    return (
        f"default-src 'none'; style-src {_hash(STYLE)}; script-src {allowed}; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    """A source expression of a Content-Security-Policy for inline ``text``."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
