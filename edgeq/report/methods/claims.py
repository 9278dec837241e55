"""What became of each claim: as a table, and line by line."""

from __future__ import annotations

from collections.abc import Sequence

from edgeq.records import Claim, Estimate, MethodsTable
from edgeq.report.figures import EMPTY, Cell, estimate, significant
from edgeq.report.methods.columns import confidence
from edgeq.report.rows import plain, sentence
from edgeq.report.tables import Column, Part, Table, text_cell

ABOUT = (
    "Supported and not supported: the whole 95 % interval lies on that side of what is claimed. Not measurable here: "
    "it lies on both, or there is nothing to measure it with. A size and a peak of memory have no interval. What holds "
    "of this model on this machine need not hold of others."
)


# More digits than this share of a figure leaves tell nothing.
_FINEST = 1e-3


def measured(claim: Claim) -> Cell:
    """The figure with its unit's factor, as many digits as its interval supports."""
    if claim.figure is None:
        return EMPTY
    factor = 100.0 if claim.unit == "%" else 1.0
    value, ci95 = claim.figure.estimate.value * factor, claim.figure.ci95
    if ci95 is None or ci95[0] == ci95[1]:
        return Cell(significant(value, 3), "", value)
    quarter = max((ci95[1] - ci95[0]) * factor / 4, _FINEST * abs(value))
    return estimate(Estimate(value, quarter))._replace(error="")


def between(claim: Claim) -> Cell:
    """The 95 % interval, where it is one."""
    ci95 = claim.figure.ci95 if claim.figure else None
    return EMPTY if ci95 is None or ci95[0] == ci95[1] else confidence(ci95, 100.0 if claim.unit == "%" else 1.0)


def said(claim: Claim) -> str:
    """Figure, interval, basis and reason in one line."""
    value, ends = measured(claim), between(claim)
    figure = f"{value} {claim.unit}".replace(" ×", "×") if value != EMPTY else ""
    figure += f" ({ends})" if ends != EMPTY else ""
    return sentence("; ".join(part for part in (figure, claim.basis, claim.reason) if part))


def part(table: MethodsTable) -> Part[Claim] | None:
    """Every side of every claim."""
    if not table.claims:
        return None
    columns = [
        Column[Claim]("Claim", "", lambda c: text_cell(c.text), 0, True),
        Column[Claim]("Looked at", "", lambda c: text_cell(c.aspect), 0, True),
        Column[Claim]("Verdict", "", lambda c: text_cell(c.verdict), 0, True),
        Column[Claim]("Measured", "", lambda c: measured(c)._replace(word=c.unit if c.figure else ""), 0),
        Column[Claim]("95 %", "", between, 1),
        Column[Claim]("From", "", lambda c: text_cell(c.basis), 2, True),
        Column[Claim]("Remark", "", lambda c: text_cell(c.reason), 3, True),
    ]
    return Part("Claims", [ABOUT, tally(table.claims)], Table(columns, list(table.claims)), [])


def tally(claims: Sequence[Claim]) -> str:
    """How many there are of each verdict."""
    verdicts = ("supported", "not supported", "not measurable here")
    counts = [f"{sum(c.verdict == verdict for c in claims)} {verdict}" for verdict in verdicts]
    return f"{', '.join(counts)}."


def by_text(claims: Sequence[Claim]) -> dict[str, list[Claim]]:
    """The sides of each claim together."""
    found: dict[str, list[Claim]] = {}
    for claim in claims:
        found.setdefault(plain(claim.text), []).append(claim)
    return found
