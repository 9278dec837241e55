"""The records of a run against each other: hashes say that nothing changed, not that it belongs together."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from edgeq import store
from edgeq.errors import InputError
from edgeq.gguf_info import safe
from edgeq.records import BenchRecord, EvalRecord, Gguf, Imatrix, Run, Summary
from edgeq.run_folder import RunFolder

_HINT = "The folder mixes files of several runs, or one was edited: run the plan again into an empty folder."


class _Records(msgspec.Struct, frozen=True):
    """Everything that a run's manifest lists, by path inside the folder, in order of the paths."""

    run: Run
    models: dict[str, Gguf]
    imatrix: Imatrix | None
    benches: dict[str, BenchRecord]
    evals: dict[str, EvalRecord]
    summary: Summary | None


def consistent(folder: Path, sums: Mapping[str, str]) -> None:
    """Raise InputError that names the first record in the run ``folder`` that contradicts a file or another record.

    ``sums``: SHA-256 of the files that the manifest lists, by path inside the folder.
    """
    found = _read(folder, sums)
    _files(folder, sums, found)
    source = _source(folder, found)
    described = _described(folder, found, source)
    for name, bench in found.benches.items():
        _bench(folder / name, bench, found, described)
    for name, evaluation in found.evals.items():
        _eval(folder / name, evaluation, found, described)
    _one_build(folder, found)
    _summary(folder, found, described)


def _read(folder: Path, sums: Mapping[str, str]) -> _Records:
    place = RunFolder(folder)
    matrix = place.imatrix.with_suffix(".json").relative_to(folder).as_posix()

    def of(kind: type[store.R], start: str) -> dict[str, store.R]:
        names = sorted(n for n in sums if n.startswith(start) and ".json" in n and n != matrix)
        return {n: store.load(folder / n, kind) for n in names}

    return _Records(
        run=store.load(folder / "run.json", Run),
        models=of(Gguf, "models/"),
        imatrix=store.load(folder / matrix, Imatrix) if matrix in sums else None,
        benches=of(BenchRecord, "records/bench-"),
        evals=of(EvalRecord, "records/eval-"),
        summary=store.load(folder / "summary.json", Summary) if "summary.json" in sums else None,
    )


def _agree(path: Path, what: str, found: object, wanted: object, whose: str) -> None:
    """``what`` the record at ``path`` says must be what ``whose`` record says."""
    if found != wanted:
        raise InputError(f"{path}: {what} is {_short(found)}, and {whose} says {_short(wanted)}.", _HINT)


def _short(value: object) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    shown = f"{text[:12]}..." if len(text) == 64 and " " not in text else text
    return safe(shown, 120)


def _files(folder: Path, sums: Mapping[str, str], found: _Records) -> None:
    """Every record of a model or matrix is that of the file beside it, where that file is."""
    described: dict[str, Gguf | Imatrix] = dict(found.models)
    if found.imatrix:
        described["models/imatrix.json"] = found.imatrix
    for name, record in described.items():
        file = (folder / name).with_suffix(".gguf")
        if not file.exists():  # the hashes have told of one that the manifest lists
            continue
        sha256 = sums.get(file.relative_to(folder).as_posix()) or store.sha256_file(file)
        _agree(folder / name, "the SHA-256", record.sha256, sha256, f"the file {file.name}")


def _source(folder: Path, found: _Records) -> str | None:
    """SHA-256 of the model that all others were made from; None where nothing in the run tells."""
    told = [(n, m.parent_sha256) for n, m in found.models.items() if m.parent_sha256]
    told += [(n, e.reference.sha256) for n, e in found.evals.items()]
    told += [("models/imatrix.json", found.imatrix.model_sha256)] if found.imatrix else []
    for name, sha256 in told:
        _agree(folder / name, "the model that it refers to", sha256, told[0][1], told[0][0])
    matrix = found.imatrix.sha256 if found.imatrix else None
    for name, model in found.models.items():
        if model.imatrix_sha256:
            whose = "models/imatrix.json" if matrix else "the run, which has none,"
            _agree(folder / name, "its importance matrix", model.imatrix_sha256, matrix, whose)
    return told[0][1] if told else None


def _described(folder: Path, found: _Records, source: str | None) -> dict[str, tuple[str, Gguf]]:
    """The record that describes each model, and its place, by SHA-256. A source outside the run has none of its own."""
    described = {m.sha256: (n, m) for n, m in found.models.items()}
    plan = found.run.plan.model
    for records in (found.evals, found.benches):
        for name, record in records.items():
            model = record.model
            if model.sha256 == source or (source is None and model.path == plan):
                described.setdefault(model.sha256, (name, model))
    return described


def _model(path: Path, what: str, model: Gguf, described: Mapping[str, tuple[str, Gguf]]) -> None:
    if model.sha256 not in described:
        raise InputError(
            f"{path}: {what} is {safe(model.path)} ({model.sha256[:12]}...), which no record describes.", _HINT
        )
    whose, wanted = described[model.sha256]
    for field in Gguf.__struct_fields__:
        if field != "path":  # the same file may have been read from two places
            _agree(path, f"{what}'s {field}", getattr(model, field), getattr(wanted, field), whose)


def _bench(path: Path, bench: BenchRecord, found: _Records, described: Mapping[str, tuple[str, Gguf]]) -> None:
    plan, settings = found.run.plan, bench.settings
    _model(path, "its model", bench.model, described)
    _agree(path, "the host's condition", bench.host.condition, found.run.host.condition, "run.json")
    _agree(path, "tests", [t.name for t in settings.tests], [t.strip() for t in plan.tests], "run.json")
    _agree(path, "n_reps", settings.n_reps, plan.n_reps, "run.json")
    if plan.n_threads:
        _agree(path, "n_threads", settings.n_threads, plan.n_threads, "run.json")
    whose, first = next(iter(found.benches.items()))
    _agree(path, "the settings", settings.without_waiting, first.settings.without_waiting, whose)
    _agree(path, "the profile", bench.profile, first.profile, whose)


def _eval(path: Path, e: EvalRecord, found: _Records, described: Mapping[str, tuple[str, Gguf]]) -> None:
    plan = found.run.plan
    _model(path, "its model", e.model, described)
    _model(path, "its reference", e.reference, described)
    # An evaluation is kept when governor or power supply change: they decide how long it takes, not what it gives.
    _agree(path, "the host's cpu", e.host.cpu, found.run.host.cpu, "run.json")
    _agree(path, "n_ctx", e.settings.n_ctx, plan.n_ctx, "run.json")
    _agree(path, "n_chunks", e.settings.n_chunks, plan.n_chunks, "run.json")
    whose, first = next(iter(found.evals.items()))
    for field in ("settings", "tokens_sha256", "corpus", "n_tokens"):
        _agree(path, field, getattr(e, field), getattr(first, field), whose)
    own = e.model.sha256 == e.reference.sha256
    wanted = {"nll_f32": 4, "reference_nll_f32": 4, "kld_f32": 0 if own else 4, "same_top_u8": 0 if own else 1}
    for field, n_bytes in wanted.items():
        _agree(path, f"bytes of {field}", len(getattr(e, field)), n_bytes * e.n_tokens, "n_tokens of the same record")


def _one_build(folder: Path, found: _Records) -> None:
    measured: dict[str, BenchRecord | EvalRecord] = {**found.benches, **found.evals}
    for name, record in measured.items():
        whose, first = next(iter(measured.items()))
        for field in ("llama_commit", "key"):
            what = "the build's key" if field == "key" else "llama.cpp's commit"
            _agree(folder / name, what, getattr(record.build, field), getattr(first.build, field), whose)


def _summary(folder: Path, found: _Records, described: Mapping[str, tuple[str, Gguf]]) -> None:
    if found.summary is None:
        return
    path = folder / "summary.json"
    builds = [*(b.build for b in found.benches.values()), *(e.build for e in found.evals.values())]
    commit = builds[0].llama_commit if builds else None
    _agree(path, "llama.cpp's commit", found.summary.llama_commit, commit, "every record")
    for row in found.summary.rows:
        if row.sha256 not in described:
            raise InputError(
                f"{path}: {safe(row.name)} ({row.sha256[:12]}...) is a file that no record describes.", _HINT
            )
        whose, model = described[row.sha256]
        _agree(path, f"the size of {safe(row.name)}", row.n_bytes, model.n_bytes, whose)
