"""A record of edgeq: what was measured or made, where, by which build and settings, and its figures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from edgeq import records, store
from edgeq.records import Build, Bundle, Gguf, Imatrix, MethodsRun, Record, Run, Summary
from edgeq.show import methods
from edgeq.show.measured import bench, commit, condition, evaluation
from edgeq.show.page import Grid, Page, short, size

Facts = tuple[tuple[str, str], ...]
Shown = tuple[Facts, tuple[Grid, ...]]

_KINDS = tuple(
    kind
    for name in records.__all__
    if isinstance(kind := getattr(records, name), type) and issubclass(kind, Record) and kind is not Record
)
_TITLES = {
    "BenchRecord": "Bench",
    "EvalRecord": "Evaluation",
    "Gguf": "Model record",
    "Imatrix": "Matrix record",
    "MethodsTable": "Methods",
    "MethodsRun": "Run",
    "TaskRecord": "Task",
    "GenerationRecord": "Continuations",
}


def record(path: Path) -> Page:
    """The page of the record at ``path``. Raises InputError where it is none, damaged, or of a newer edgeq."""
    found = store.load_any(path, _KINDS)
    kind = type(found).__name__
    facts, grids = _PAGES.get(kind, _any)(found)
    return Page(_TITLES.get(kind, kind), str(path), facts, grids, {"kind": kind, "record": found})


def _gguf(m: Gguf) -> Shown:
    facts = [
        ("name", m.name),
        ("file", m.path),
        ("sha256", short(m.sha256)),
        ("architecture", f"{m.arch}, {m.n_layers} layers, {m.n_params:,} parameters"),
        ("file type", m.file_type + ("" if m.on_label is None else f", {m.on_label:.0%} of the weights as named")),
        ("bits per parameter", f"{m.bpw:.3f}"),
        ("size", size(m.n_bytes) + (", as predicted" if m.predicted_bytes == m.n_bytes else "")),
        ("made from", short(m.parent_sha256)),
        ("importance matrix", short(m.imatrix_sha256)),
    ]
    if m.recipe:
        overrides = ", ".join(f"{pattern} as {kind}" for pattern, kind in m.recipe.overrides)
        facts.append(("recipe", f"{m.recipe.name}: {m.recipe.method}, {m.recipe.file_type}" + f" {overrides}".rstrip()))
    if m.adapter:
        a = m.adapter
        facts.append(("adapter", f"{Path(a.path).name}, rank {a.rank}, {a.tensor_type}, {size(a.n_bytes)}"))
    if m.source:
        facts.append(
            ("source", f"{m.source.repo} {m.source.revision or ''} ({m.source.license or 'no license named'})")
        )
    if m.requantized:
        facts.append(("note", "made from weights that had been quantized before"))
    shares = sorted(m.tensor_types.items(), key=lambda pair: -pair[1])
    rows = tuple((name, f"{n:,}", f"{n / m.n_params:.1%}") for name, n in shares)
    return tuple(facts), (Grid("Types", ("type", "parameters", "share"), rows),)


def _imatrix(i: Imatrix) -> Shown:
    texts = ", ".join(f"{c.name} ({c.part})" for c in i.corpus)
    facts = (
        ("file", i.path),
        ("sha256", short(i.sha256)),
        ("texts", texts),
        ("chunks", f"{i.n_chunks} of {i.n_ctx} tokens"),
        ("entries", f"{i.n_entries:,}"),
        ("computed from", short(i.model_sha256)),
    )
    return facts, ()


def _build(b: Build) -> Shown:
    tried = b.self_test
    facts = (
        ("key", b.key),
        ("llama.cpp", b.llama_commit),
        ("backend", f"{b.backend} for {b.target}, {b.isa}"),
        ("compiler", b.compiler),
        ("options", " ".join(b.cmake_args)),
        ("folder", b.folder),
        ("seconds", f"{b.seconds:.1f}"),
        ("tried out", "-" if tried is None else tried.skipped or "; ".join(tried.devices)),
    )
    tools = tuple((role, b.sha256.get(role, "-")[:16]) for role in b.tools)
    return facts, (Grid("Programs", ("role", "sha256"), tools),)


def _bundle(b: Bundle) -> Shown:
    facts = (
        ("device", b.profile.description or b.profile.name),
        ("build", f"{b.build.target}, {b.build.isa}, {b.build.backend}"),
        ("llama.cpp", b.build.llama_commit),
        ("glibc", f"{b.glibc} or newer"),
        ("context", f"{b.n_ctx:,} tokens"),
        ("libraries", ", ".join(b.runtime)),
    )
    rows = tuple((Path(m.path).name, m.file_type, f"{m.bpw:.2f}", f"{m.n_bytes / 2**20:.1f}") for m in b.models)
    return facts, (Grid("Models", ("file", "type", "bpw", "MiB"), rows),)


def _run(r: Run | MethodsRun) -> Shown:
    plan = msgspec.to_builtins(r.plan)
    rows = tuple((key, _plain(value)) for key, value in plan.items())
    return (("edgeq", r.edgeq), *condition(r.host)), (Grid("Plan", ("key", ""), rows),)


def _summary(s: Summary) -> Shown:
    facts = [("model", s.title), *(condition(s.host) if s.host else ()), ("llama.cpp", commit(s.llama_commit))]
    facts += [("texts", ", ".join(f"{c.name} ({c.part})" for c in s.corpus))]
    facts += [("note", f"{n.text} {n.hint}".strip()) for n in s.warnings]
    tests = list(dict.fromkeys(speed.test for row in s.rows for speed in row.speeds))
    rows = []
    for r in s.rows:
        rates = {speed.test: f"{speed.tps.value:.4g}" for speed in r.speeds}
        kld = r.quality.kld if r.quality else None
        cells = (f"{r.bpw:.2f}", f"{r.n_bytes / 2**20:.1f}", f"{kld.value:.4g}" if kld else "-")
        rows.append((r.name, *cells, *(rates.get(test, "-") for test in tests)))
    columns = ("file", "bpw", "MiB", "KLD nats", *(f"{test} t/s" for test in tests))
    return tuple(facts), (Grid("Rows", columns, tuple(rows)),)


def _any(found: Record) -> Shown:
    """A kind without a page of its own: its fields as they are."""
    fields: dict[str, Any] = msgspec.to_builtins(found)
    return (), (Grid("Fields", ("name", ""), tuple((name, _plain(value)) for name, value in fields.items())),)


def _plain(value: object) -> str:
    if isinstance(value, str):
        return value or "-"
    if isinstance(value, (list, tuple)) and all(isinstance(v, (str, int, float)) for v in value):
        return ", ".join(map(str, value)) or "-"
    return "-" if value is None else msgspec.json.encode(value).decode()


_PAGES: dict[str, Callable[[Any], Shown]] = {
    "BenchRecord": bench,
    "EvalRecord": evaluation,
    "Gguf": _gguf,
    "Imatrix": _imatrix,
    "Build": _build,
    "Bundle": _bundle,
    "Run": _run,
    "Summary": _summary,
    "MethodsRun": _run,
    "MethodsTable": methods.table,
    "TaskRecord": methods.task,
    "GenerationRecord": methods.generation,
}
