"""Which measured file is meant, and how much context its tests took."""

from __future__ import annotations

from edgeq import plugins
from edgeq.errors import InputError
from edgeq.gguf_info import safe
from edgeq.records import BenchSettings, Row, Summary


def choose(summary: Summary, name: str) -> tuple[Row, BenchSettings]:
    """The row whose name or file type is ``name`` (in any case), and the settings that it was measured with.

    Raises InputError for a name that no row or several have, and for a file that was not benched.
    """
    rows = [r for r in summary.rows if r.name == name] or [
        r for r in summary.rows if name.upper() in (r.name.upper(), r.file_type.upper())
    ]
    if not rows:
        names = {n for r in summary.rows for n in (r.name, r.file_type)}
        raise InputError(f"No measured file is called {safe(name)}.", safe(plugins.nearest(name, names), 1000))
    if len(rows) > 1:
        names = {r.name for r in rows}
        one_file = "They are the same file on several devices: give one device's run." if len(names) == 1 else ""
        shown = ", ".join(safe(f"{r.name} ({r.file_type}, {r.bpw:.2f} bpw, {r.device})") for r in rows)
        raise InputError(f"{safe(name)} is {len(rows)} of the measured files: {shown}.", one_file or "Give the name.")
    if rows[0].settings is None:
        raise InputError(f"{safe(rows[0].name)} was not benched, so there are no settings to give.", "`edgeq bench`.")
    return rows[0], rows[0].settings


def n_ctx(settings: BenchSettings) -> int:
    """Tokens of context that the largest measured test took: prompt, generated tokens and depth together."""
    return max(t.n_prompt + t.n_gen + t.n_depth for t in settings.tests)
