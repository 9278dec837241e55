"""Sentences about a whole summary that several forms of the report share."""

from __future__ import annotations

from typing import Any

from edgeq.records import Corpus, Row, Summary
from edgeq.report import comparison, condition, cost, energy, refined
from edgeq.report.figures import ESTIMATED, count
from edgeq.report.rows import devices, ordered, plain, sentence, tests
from edgeq.report.subjects import listed, tests_of
from edgeq.report.tables import Part

FRONT = "On the front: no other file here is both smaller and closer to the reference."
CUT = "Not shown at this width:"
STATE = "A word behind a speed says what was wrong with its repetitions; such a speed has no standard error."


def text_name(corpus: Corpus) -> str:
    """A text and the part of it that was used."""
    return plain(corpus.name) if corpus.part == "all" else f"{plain(corpus.name)} ({corpus.part})"


def lede(summary: Summary) -> str:
    """One sentence: what was measured, on what, with what, over how much text."""
    rows = ordered(summary)
    if not rows:
        return "Nothing was measured."
    names = {plain(row.name) for row in rows}
    n_files = len({row.sha256 for row in rows})
    what = f"{n_files} GGUF file{'' if n_files == 1 else 's'}"
    if len(names) == 1 and rows[0].name != rows[0].file_type:
        what += f" of {names.pop()}"
    where = _devices(summary)
    engine = f" with llama.cpp {plain(summary.llama_commit)[:12]}" if summary.llama_commit else ""
    parts = (_quality(summary), _speed(summary), _energy(summary))
    return f"{what}, measured{where}{engine}; {'; '.join(part for part in parts if part)}."


def legend(summary: Summary) -> list[str]:
    """What the headline table's signs mean and what to bear in mind, only where it applies."""
    stated = any(speed.state for row in summary.rows for speed in row.speeds)
    estimated = any(found.energy.estimated for found in _headlines(summary))
    found = [
        *([STATE, *_states(summary)] if stated else []),
        *([ESTIMATED] if estimated else []),
        *([energy.MIXED] if energy.mixed(summary) else []),
    ]
    return found + condition.remarks(summary, condition.SLOWED)


def _states(summary: Summary) -> list[str]:
    """What was wrong with repetitions, where one word does not say all of it."""
    found: dict[tuple[str, ...], list[tuple[str, Row]]] = {}
    for row in ordered(summary):
        for speed in row.speeds:
            if len(speed.state) > 1:
                found.setdefault(speed.state, []).append((speed.test, row))
    return [sentence(f"{tests_of(summary, which)}: {', '.join(words)}") for words, which in found.items()]


def parts(summary: Summary) -> list[Part[Any]]:
    """What follows the headline table."""
    found = (refined.part(summary), energy.part(summary), cost.part(summary), comparison.part(summary))
    return [part for part in found if part]


def remarks(summary: Summary) -> list[str]:
    """The legend, and for the forms that don't say how it was measured what could not be watched."""
    sampled = [sentence(condition.sampling(summary))] if condition.sampling(summary) else []
    return legend(summary) + condition.remarks(summary, ("unknown",)) + sampled


def _headlines(summary: Summary) -> list[energy.Measured]:
    return [found for test in energy.tests(summary) for found in energy.headlines(summary, test)]


def _devices(summary: Summary) -> str:
    found = [plain(name) for name in devices(list(summary.rows)) if name]
    if len(found) > 1:
        return f" on {listed(found)}"
    if summary.host is None:
        return f" on {found[0]}" if found else ""
    threads = summary.host.n_threads
    return f" on {plain(summary.host.cpu)} ({threads} thread{'' if threads == 1 else 's'})"


def _quality(summary: Summary) -> str:
    n_tokens = sorted({row.quality.n_tokens for row in summary.rows if row.quality})
    if not n_tokens:
        return "quality was not measured"
    scored = " to ".join(count(n) for n in dict.fromkeys((n_tokens[0], n_tokens[-1])))
    texts = " and ".join(text_name(corpus) for corpus in summary.corpus)
    return f"quality over {scored} scored tokens" + (f" of {texts}" if texts else "")


def _speed(summary: Summary) -> str:
    names = tests(list(summary.rows))
    if not names:
        return "speed was not measured"
    reps = sorted({speed.n_reps for row in summary.rows for speed in row.speeds})
    times = " to ".join(str(n) for n in dict.fromkeys((reps[0], reps[-1])))
    listed = ", ".join(plain(name) for name in names)
    return f"speed as {listed}, {times} repetition{'' if reps == [1] else 's'}"


def _energy(summary: Summary) -> str:
    found = [measured.energy for measured in _headlines(summary)]
    scopes = dict.fromkeys(f"{plain(e.scope)}{' (estimated)' if e.estimated else ''}" for e in found)
    return f"energy at scope{'s' if len(scopes) > 1 else ''} {listed(list(scopes))}" if scopes else ""
