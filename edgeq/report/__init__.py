"""The report room: a Summary in, text out, in four forms.

Everything here is pure: the same summary gives the same text, whatever the time, the disk or the machine.
"""

from __future__ import annotations

from edgeq.report.as_csv import csv
from edgeq.report.as_html import html
from edgeq.report.as_markdown import markdown
from edgeq.report.as_terminal import terminal

__all__ = ["csv", "html", "markdown", "terminal"]
