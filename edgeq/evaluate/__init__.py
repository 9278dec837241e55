"""Room: quality. How far a file's predictions are from the reference's, and what that does to tasks and texts."""

from __future__ import annotations

from edgeq.evaluate.fidelity import Candidate, Turn, evaluate, in_words, take_turns
from edgeq.evaluate.generation import generate
from edgeq.evaluate.tasks import Task, choices, run_tasks, task

__all__ = [
    "Candidate",
    "Task",
    "Turn",
    "choices",
    "evaluate",
    "generate",
    "in_words",
    "run_tasks",
    "take_turns",
    "task",
]
