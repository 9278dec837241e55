"""Room: tasks. The reference and its candidates answer the same questions, as hard as the reference can just do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np

from edgeq import plugins
from edgeq.corpus import Part
from edgeq.errors import InputError
from edgeq.evaluate.answering import STATIC, Answering, Asked, Calibration
from edgeq.evaluate.fidelity import Candidate
from edgeq.evaluate.levels import MOST_PROBES, Search
from edgeq.records import Build, Gguf, Item, Note, TaskRecord
from edgeq.tasks import load_choices

_PROBE_ITEMS = 20


class Task(msgspec.Struct, frozen=True):
    """A kind of question. ``make(seed, level, n)`` gives its items; level 0 is the easiest."""

    name: str
    chance: float
    n_levels: int
    make: Callable[[int, int, int], tuple[Item, ...]]


def task(name: str) -> Task:
    """The task of this name on the shelf."""
    shelf = plugins.module("tasks", name)
    return Task(name, shelf.CHANCE, shelf.N_LEVELS, shelf.items)


def choices(path: Path) -> Task:
    """Your own questions: see `edgeq.tasks.load_choices`. Fewer than all are taken evenly over the file."""
    items = load_choices(path)
    chance = float(np.mean([1 / len(item.answers) for item in items]))

    def make(seed: int, level: int, n: int) -> tuple[Item, ...]:
        n = min(n, len(items))
        return tuple(items[i * len(items) // n] for i in range(n))

    return Task(path.stem, chance, 1, make)


def run_tasks(
    reference: Gguf,
    candidates: Sequence[Candidate],
    tasks: Sequence[Task],
    build: Build,
    folder: Path,
    *,
    n_items: int = 50,
    seed: int = 1,
    n_threads: int = 1,
    calibration: tuple[Path, ...] = (),
    calibration_chunks: int = 4,
    calibration_part: Part = "all",
    on_progress: Callable[[float], None] = lambda _: None,
) -> tuple[tuple[TaskRecord, ...], tuple[Note, ...]]:
    """Score all models; write ``folder/task-TASK-NAME[-MODE]-KEY.json.gz``. Gives them by task, the reference first.

    The level of a task is the one at which the reference is right about as often as can tell models apart (see
    `edgeq.evaluate.levels`), found on other questions than those that count. A task whose questions are longer than the
    model's training context is left out, with a note. Static ranges of activations come from the first
    ``calibration_chunks`` of the ``calibration`` texts. What has a record already is not scored again. Raises
    InputError where two tasks have one name, or such ranges have no text to come from.
    """
    names = [t.name for t in tasks]
    if twice := {n for n in names if names.count(n) > 1}:
        raise InputError(f"Two tasks are named {min(twice)}.", "Rename one of the files.")
    if not calibration and any(c.activations == STATIC for c in candidates):
        raise InputError(
            "Static ranges of activations come from a text, and there is none.", "Name one to calibrate on."
        )
    total = MOST_PROBES + 1 + len(candidates)
    room = Answering(reference, build, n_threads, Calibration(calibration, calibration_part, calibration_chunks))
    itself = Candidate(reference)

    def records(i: int, run: Candidate, asked: list[Asked], place: Path) -> list[TaskRecord | None]:
        return room.records(run, asked, place, lambda share: on_progress((i + share) / total))

    searches = [(t, Search(t.n_levels, t.chance)) for t in tasks]
    for i in range(MOST_PROBES):
        pending = [(t, s, level) for t, s in searches if (level := s.level) is not None]
        # Other questions than those that count: what is chosen for being near the middle is there by chance, too.
        probes = [_asked(t, level, seed + 1, _PROBE_ITEMS) for t, _, level in pending]
        for (_, search, _), record in zip(pending, records(i, itself, probes, folder / "probes"), strict=True):
            search.tell(float(np.frombuffer(record.correct_u8, np.uint8).mean()) if record else None)
    asked = [_asked(t, s.best or 0, seed, n_items) for t, s in searches]
    by_run = [records(MOST_PROBES + i, run, asked, folder) for i, run in enumerate((itself, *candidates))]
    by_task = list(zip(*by_run, strict=True))
    notes = (_too_long(a) for a, of_task in zip(asked, by_task, strict=True) if None in of_task)
    return tuple(r for of_task in by_task for r in of_task if r and None not in of_task), tuple(notes)


def _asked(task: Task, level: int, seed: int, n: int) -> Asked:
    return Asked(task.name, task.chance, level, seed, task.make(seed, level, n))


def _too_long(asked: Asked) -> Note:
    text = f"The task {asked.task} was left out: its questions are longer than the model's training context."
    return Note("task-too-long", text)
