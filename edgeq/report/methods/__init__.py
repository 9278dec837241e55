"""The table of methods in the terminal, as Markdown and as a page."""

from __future__ import annotations

from edgeq.report.methods.as_html import methods_html
from edgeq.report.methods.as_markdown import methods_markdown
from edgeq.report.methods.as_terminal import methods_terminal

__all__ = ["methods_html", "methods_markdown", "methods_terminal"]
