"""The report as one self-contained page: nothing is loaded, and it reads the same with scripts turned off."""

from __future__ import annotations

import base64
import hashlib

from edgeq.records import Summary
from edgeq.report import background, sections
from edgeq.report.markup import safe
from edgeq.report.script import SCRIPT
from edgeq.report.style import STYLE


def html(summary: Summary) -> str:
    """The whole page. Its policy allows only this very style sheet and script, by their hashes."""
    allowed = f"style-src {_hash(STYLE)}; script-src {_hash(SCRIPT)}"
    policy = f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"
    parts = (
        sections.header(summary),
        sections.results(summary),
        sections.quality_figure(summary),
        sections.speed_figure(summary),
        sections.energy_part(summary),
        sections.cost_part(summary),
        sections.comparison_part(summary),
        background.composition(summary),
        sections.note_list(summary),
        background.how_measured(summary),
        background.terms(summary),
    )
    body = "\n".join(part for part in parts if part)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{safe(summary.title)}</title>
<style>{STYLE}</style>
</head>
<body>
<main>
{body}
</main>
<script>{SCRIPT}</script>
</body>
</html>
"""


def _hash(text: str) -> str:
    """A source expression of a Content-Security-Policy for inline ``text``."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
