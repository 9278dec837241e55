"""The report room: a Summary or a table of methods in, text out, in several forms, and their plots.

Everything here is pure: the same summary gives the same text, whatever the time, the disk or the machine.
"""

from __future__ import annotations

from edgeq.report.advice import advice
from edgeq.report.all_plots import plots
from edgeq.report.as_csv import csv
from edgeq.report.as_html import html
from edgeq.report.as_markdown import markdown
from edgeq.report.as_refined import refined_terminal
from edgeq.report.as_terminal import terminal
from edgeq.report.as_types import types_terminal
from edgeq.report.budgets import allocations_terminal, budgets_html, budgets_terminal
from edgeq.report.drawing import can_draw, png, svg
from edgeq.report.methods import methods_html, methods_markdown, methods_terminal

__all__ = [
    "advice",
    "allocations_terminal",
    "budgets_html",
    "budgets_terminal",
    "can_draw",
    "csv",
    "html",
    "markdown",
    "methods_html",
    "methods_markdown",
    "methods_terminal",
    "plots",
    "png",
    "refined_terminal",
    "svg",
    "terminal",
    "types_terminal",
]
