"""A run: one folder, self-describing and movable."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from edgeq import manifest, store
from edgeq.errors import InputError
from edgeq.records import (
    BenchRecord,
    EvalRecord,
    GenerationRecord,
    Gguf,
    Imatrix,
    MethodsRun,
    MethodsTable,
    Record,
    Run,
    Summary,
    TaskRecord,
)

_KINDS = (BenchRecord, EvalRecord, TaskRecord, GenerationRecord, Gguf, Imatrix)


class RunFolder:
    """``run.json models/ records/ report.html manifest.json``, ``summary.json`` or ``methods.json``, ``statistics/``.

    Nothing else knows these names.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.models = path / "models"
        self.records = path / "records"
        self.imatrix = self.models / "imatrix.gguf"
        self.page = path / "report.html"
        # Large, and made again where they are missing: not in the manifest.
        self.statistics = path / "statistics"

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """Hold the folder while a run works in it."""
        with store.lock(self.path, "the run"):
            store.make_folder(self.models)
            store.make_folder(self.records)
            for stale in (*self.models.glob(".*.partial"), *self.records.glob(".*.partial")):
                shutil.rmtree(stale) if stale.is_dir() else stale.unlink()
            yield

    def begin(self, run: Run | MethodsRun) -> None:
        """Write down what is about to be done; until the run has ended there is no manifest."""
        (self.path / manifest.NAME).unlink(missing_ok=True)
        store.save(self.path / "run.json", run, store.key_of(run))

    def finish(self, result: Summary | MethodsTable, page: str, records: Collection[Record]) -> None:
        """Write the derived results and the manifest of everything that belongs to this run."""
        derived = self.path / ("summary.json" if isinstance(result, Summary) else "methods.json")
        store.save(derived, result, store.key_of(result))
        store.write_text(self.page, page)
        belongs = [self.path / "run.json", derived, self.page, *self._files_of(records)]
        manifest.write(self.path, belongs)

    def load(
        self, on_damage: Callable[[InputError], None] | None = None
    ) -> tuple[list[BenchRecord], list[EvalRecord], list[Gguf]]:
        """The records of the last finished run, or of everything there is where none has finished.

        Raises InputError for a record that can't be read; with ``on_damage``, that is told and the record left out.
        """
        if not self.path.is_dir():
            raise InputError(f"There is no run folder {self.path}.", "`edgeq run MODEL --out FOLDER` makes one.")
        benches: list[BenchRecord] = []
        evals: list[EvalRecord] = []
        models: list[Gguf] = []
        for name in self._names():
            path = self.path / name
            try:
                if name.startswith("records/bench-"):
                    benches.append(store.load(path, BenchRecord))
                elif name.startswith("records/eval-"):
                    evals.append(store.load(path, EvalRecord))
                elif name.startswith("models/") and name.endswith(".json") and name != "models/imatrix.json":
                    models.append(store.load(path, Gguf))
            except InputError as e:
                if on_damage is None:
                    raise
                on_damage(e)
        if not (benches or evals or models):
            raise InputError(f"{self.path} holds no records.", "Give a folder that `edgeq run` has made.")
        return benches, evals, models

    def table(self) -> MethodsTable | None:
        """The table of methods, where the folder holds a comparison of them. Raises InputError where it is damaged."""
        path = self.path / "methods.json"
        return store.load(path, MethodsTable) if path.exists() else None

    def _files_of(self, records: Collection[Record]) -> Iterator[Path]:
        for path in (*self.models.glob("*.json"), *self.records.glob("*.json.gz")):
            record = store.load_any(path, _KINDS)
            if record in records:
                yield path
                if isinstance(record, (Gguf, Imatrix)):
                    yield path.with_suffix(".gguf")
                if isinstance(record, Gguf) and record.adapter:
                    yield path.with_suffix(".lora.gguf")

    def _names(self) -> list[str]:
        if (self.path / manifest.NAME).exists():
            return sorted(manifest.read(self.path))
        return sorted(str(p.relative_to(self.path)) for d in (self.models, self.records) for p in d.glob("*.json*"))
