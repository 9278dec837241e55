"""Says in few words which tests of which files a remark is about."""

from __future__ import annotations

from edgeq.records import Row, Summary
from edgeq.report.rows import devices, key, labels, ordered, plain, prefill_first


def listed(names: list[str]) -> str:
    """An enumeration."""
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)


def files(summary: Summary, meant: list[Row]) -> str:
    """Names of rows, with their devices where there are several; "all files" where none is left out."""
    names = labels(list(summary.rows))
    found = devices(list(summary.rows))
    keys = {key(row) for row in meant}
    parts = []
    for device in found:
        here = [row for row in ordered(summary) if row.device == device]
        chosen = [names[key(row)] for row in here if key(row) in keys]
        what = "all files" if len(chosen) == len(here) else listed(chosen)
        parts += [f"{what} on {plain(device)}" if len(found) > 1 else what] if chosen else []
    whole = len(parts) == len(found) and all(part.startswith("all files") for part in parts)
    return "all files" if whole else listed(parts)


def tests_of(summary: Summary, meant: list[tuple[str, Row]]) -> str:
    """Tests and the files whose they are: "pp512 of Q8_0; tg128 of all files"."""
    same: dict[str, list[str]] = {}
    for test in prefill_first(name for name, _ in meant):
        same.setdefault(files(summary, [row for name, row in meant if name == test]), []).append(plain(test))
    return "; ".join(f"{listed(tests)} of {which}" for which, tests in same.items())
