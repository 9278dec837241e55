"""The best files for some budgets: table, plot and explanation."""

from __future__ import annotations

from edgeq.report.budgets.as_html import budgets_html
from edgeq.report.budgets.as_terminal import allocations_terminal, budgets_terminal

__all__ = ["allocations_terminal", "budgets_html", "budgets_terminal"]
