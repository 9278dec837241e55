"""The method and its limits, in at most ten lines."""

from __future__ import annotations

from edgeq.records import Summary

REPETITIONS = (
    "Tokens per second are all tokens over all time of the repetitions, timed once the work is done; loading and "
    "warming up do not count."
)
ERRORS = (
    "± is the spread within this measurement. How another copy of the board, another day or a warmer room differ is "
    "not in it."
)
MEMORY = "Memory is that of the measured process at its peak; what the system itself needs comes on top."
ENERGY = (
    "Energy is of the named scope only, from the run that gave the tokens per second; scopes are never added. Its ± "
    "has the meter's own limits in it where these are stated."
)
KLD = (
    "KLD compares every next-token distribution with the reference's on the same tokens. It says how far a file is "
    "from the reference, not how good the reference is."
)
TEXT = "One text was scored: on code, on other languages or in long contexts the order of close files may differ."
PPL = "Perplexity can be compared within this report only: it hangs on text, tokenizer and context."
FRONT = "The front knows the files of this report only; where error bars overlap, a place on it is no proof."
ABSENT = "“-” is not measured, never zero; a file without a figure has no mark in the plots of it."
THINNED = "Plots over time and position show means of neighboring values. The records of the run keep all of them."


def lines(summary: Summary, has_series: bool) -> list[str]:
    """What applies to this summary."""
    rows = summary.rows
    scored = any(row.quality for row in rows)
    compared = any(row.quality and row.quality.kld for row in rows)
    found = (
        (REPETITIONS, any(row.speeds for row in rows)),
        (ERRORS, bool(rows)),
        (MEMORY, any(row.rss_peak_bytes is not None for row in rows)),
        (ENERGY, any(energy.gross_j_per_token for row in rows for energy in row.energies)),
        (KLD, compared),
        (TEXT, scored and len(summary.corpus) == 1),
        (PPL, scored),
        (FRONT, bool(summary.front)),
        (ABSENT, bool(rows)),
        (THINNED, has_series),
    )
    return [text for text, applies in found if applies]
