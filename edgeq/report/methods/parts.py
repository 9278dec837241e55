"""The parts of the report on methods, the same for terminal, Markdown and HTML."""

from __future__ import annotations

from edgeq.records import MethodRow, MethodsTable
from edgeq.report.figures import ESTIMATED, count, size, size_unit
from edgeq.report.methods import texts, words
from edgeq.report.methods.columns import decode_test, energy_of, figures, identity, tests
from edgeq.report.rows import plain, sentence
from edgeq.report.subjects import listed
from edgeq.report.tables import Column, Part, Table, filled

LEGEND = (
    "± is one standard error, over chunks of text where it is of a text. Tasks: change in right answers against the "
    "reference on the same questions, in percentage points. Same until: greedy tokens up to the first that the "
    "reference would not say, the median over prompts. % less and × are against the reference."
)
NO_FIGURE = '"-": not measured, or not a figure of the method itself.'


def title(table: MethodsTable) -> str:
    """What the report is about."""
    return f"Quantization methods on {plain(table.model.name) or plain(table.model.file_type)}"


def lede(table: MethodsTable) -> str:
    """One sentence: what was measured, on what, with what, over how much text."""
    n_arms, n_methods = len(table.rows), len({row.number for row in table.rows})
    made = sum(not row.skipped for row in table.rows)
    unit = size_unit(table.model.n_bytes)
    what = f"{made} of {n_arms} arms of {n_methods} method{'' if n_methods == 1 else 's'}"
    against = f"{plain(table.model.file_type)}, {size(table.model.n_bytes, unit)} {unit[1]}"
    host = f"{plain(table.host.cpu)} with llama.cpp {plain(table.llama_commit)[:12]} ({plain(table.backend)})"
    seconds = sum(row.seconds or 0.0 for row in table.rows)
    spent = f"; making and scoring them took {seconds / 60:.0f} min" if seconds >= 60 else ""
    return f"{what}, measured against {against} on {host}{spent}."


def at_a_glance(table: MethodsTable) -> Part[MethodRow]:
    """The table in words, each with the figure that it stands for."""
    rows = list(table.rows)
    test = decode_test(rows)
    columns = [
        Column[MethodRow]("Accuracy", "KLD, nats", words.accuracy, 1),
        Column[MethodRow]("Memory", "file, % less", words.memory, 3),
        Column[MethodRow]("Speed", f"{plain(test or 'decode')}, ×", lambda row: words.speed(row, test), 2),
        Column[MethodRow]("Stability", "same tokens", lambda row: words.stability(row, table.reference), 4),
    ]
    known = filled(columns, rows)
    meant = [f"{term}: {text}" for term, text in words.meanings() if any(c.heading == term for c in known)]
    drawn = Table([*identity(rows), *known], rows, group=lambda row: row.number)
    return Part("At a glance", [], drawn, [*meant, NO_FIGURE, *skipped(rows)])


def methods(table: MethodsTable) -> Part[MethodRow]:
    """Every figure of every arm, the reference first."""
    rows = [table.reference, *table.rows]
    return Part("Methods", [], figures(table, rows), legend(table, rows))


def shipping(table: MethodsTable) -> Part[MethodRow] | None:
    """The same figures of file types as they are deployed."""
    rows = list(table.shipping)
    about = "File types as llama-quantize makes them, with their mixes and their own types for the embeddings."
    return Part("As deployed", [about], figures(table, rows), skipped(rows)) if rows else None


def legend(table: MethodsTable, rows: list[MethodRow]) -> list[str]:
    """What the signs mean, only where they are needed."""
    estimated = any(e.estimated for row in rows for test in tests(rows) if (e := energy_of(row, test)))
    return [*map(sentence, texts.said(table)), LEGEND, *([ESTIMATED] if estimated else []), NO_FIGURE]


def skipped(rows: list[MethodRow]) -> list[str]:
    """Which arms there is nothing of, and why."""
    return [sentence(f"{plain(row.arm.name)} was skipped: {row.skipped}") for row in rows if row.skipped]


def settings(table: MethodsTable) -> list[tuple[str, str]]:
    """What was measured, where and with what."""
    scoring, bench, host = table.eval_settings, table.bench_settings, table.host
    facts = [
        ("Model", f"{table.model.name}, {count(table.model.n_params)} parameters, sha256 {table.model.sha256[:12]}"),
        ("CPU", f"{host.cpu}, {host.arch}, {host.n_cores} cores, {host.n_threads} threads"),
        ("GPU", ", ".join(host.gpu)),
        ("Power mode", host.power_mode or ""),
        ("llama.cpp", f"commit {table.llama_commit}, backend {table.backend}"),
        ("Calibration", f"another part of {listed(list(table.calibration))}" if table.calibration else ""),
        ("Texts", "; ".join(texts.said(table))),
    ]
    if scoring:
        facts.append(("Quality", f"chunks of n_ctx {scoring.n_ctx}, scored from position {scoring.first} on"))
    if bench:
        names = ", ".join(test.name for test in bench.tests)
        facts.append(("Speed", f"{names}, {bench.n_reps} repetitions, n_threads {bench.n_threads or 'automatic'}"))
    return facts
