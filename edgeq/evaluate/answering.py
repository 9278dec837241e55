"""One model after the other answers the same questions: what has a record is not scored again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np

from edgeq import corpus, device, gguf_info, store
from edgeq.corpus import Part, Tokens
from edgeq.evaluate.fidelity import Candidate
from edgeq.evaluate.questions import Given, Question, longest, score, tokenize
from edgeq.records import Build, Gguf, Item, TaskRecord

STATIC = "static-tensor"
_CALIBRATION_CTX = 512


class Asked(msgspec.Struct, frozen=True):
    """The items of a task at one level, as drawn with a seed."""

    task: str
    chance: float
    level: int
    seed: int
    items: tuple[Item, ...]

    @property
    def sha256(self) -> str:
        """SHA-256 of the items."""
        return store.sha256_bytes(msgspec.json.encode(self.items))


class Calibration(msgspec.Struct, frozen=True):
    """Where static ranges of activations come from: the first chunks of a part of the texts."""

    texts: tuple[Path, ...]
    part: Part
    n_chunks: int


class Answering:
    """What is the same for all models: the tokens of the reference's vocabulary, the build, the calibration texts."""

    def __init__(self, reference: Gguf, build: Build, n_threads: int, calibration: Calibration) -> None:
        self._reference = reference
        self._build = build
        self._n_threads = n_threads
        self._calibration = calibration
        self._n_ctx_train = gguf_info.read_header(Path(reference.path)).n_ctx_train
        self._questions: dict[str, list[Question]] = {}
        self._host = device.host()

    def records(
        self,
        run: Candidate,
        asked: Sequence[Asked],
        folder: Path,
        on_progress: Callable[[float], None] = lambda _: None,
    ) -> list[TaskRecord | None]:
        """A record for each task; None where its items are longer than the model's training context."""
        places = [self._place(run, a, folder) for a in asked]
        found = [store.find(path, TaskRecord, key) for path, key in places]
        missing = [a for a, record in zip(asked, found, strict=True) if record is None]
        questions = self._tokenized(missing)
        todo = [a for a in missing if self._fits(questions[a.sha256])]
        if todo:
            store.make_folder(folder)
            given = score(
                run,
                [questions[a.sha256] for a in todo],
                self._build,
                n_threads=self._n_threads,
                calibration=self._tokens(run),
                on_progress=on_progress,
            )
            for a, g in zip(todo, given, strict=True):
                at = asked.index(a)
                record = self._record(run, a, g)
                store.save(places[at][0], record, places[at][1])
                found[at] = record
        return found

    def _place(self, run: Candidate, asked: Asked, folder: Path) -> tuple[Path, str]:
        adapter = run.model.adapter.sha256 if run.model.adapter else None
        how = (adapter, run.activations, self._ranges(run), run.n_ubatch)
        inputs = (self._reference.sha256, asked.task, asked.sha256, self._build.key)
        key = store.key_of("task", run.model.sha256, how, *inputs)
        name = f"{asked.task}-{Path(run.model.path).stem}" + (f"-{run.activations}" if run.activations else "")
        return folder / f"task-{name}-{key[:8]}.json.gz", key

    def _ranges(self, run: Candidate) -> object:
        """What the ranges of activations follow from, None where nothing but the items does."""
        c = self._calibration
        return (corpus.read(c.texts, c.part), c.n_chunks) if run.activations == STATIC else None

    def _tokens(self, run: Candidate) -> Tokens | None:
        c = self._calibration
        if run.activations != STATIC:
            return None
        return corpus.tokenize(
            self._reference, c.texts, self._build, n_ctx=_CALIBRATION_CTX, n_chunks=c.n_chunks, part=c.part
        )

    def _tokenized(self, asked: Sequence[Asked]) -> dict[str, list[Question]]:
        new = [a for a in asked if a.sha256 not in self._questions]
        if new:
            found = tokenize(self._reference, [a.items for a in new], self._build)
            self._questions.update(zip((a.sha256 for a in new), found, strict=True))
        return self._questions

    def _fits(self, questions: list[Question]) -> bool:
        return self._n_ctx_train is None or longest(questions) <= self._n_ctx_train

    def _record(self, run: Candidate, asked: Asked, given: Given) -> TaskRecord:
        places = tuple(item.place for item in asked.items)
        return TaskRecord(
            model=run.model,
            build=self._build,
            host=self._host,
            activations=run.activations,
            task=asked.task,
            level=asked.level,
            seed=asked.seed,
            chance=asked.chance,
            items_sha256=asked.sha256,
            n_items=len(asked.items),
            correct_u8=given.correct.astype(np.uint8).tobytes(),
            nll_f32=given.nll.astype(np.float32).tobytes(),
            n_tokens_u16=given.n_tokens.astype(np.uint16).tobytes(),
            n_top_u16=given.n_top.astype(np.uint16).tobytes(),
            places=places if any(places) else (),
        )
