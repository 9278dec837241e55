"""Questions as token ids, and what a model gives to their answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np

from edgeq import programs, store
from edgeq.corpus import Tokens
from edgeq.evaluate.fidelity import Candidate
from edgeq.records import Build, Gguf, Item

# Token ids of a prompt and of each of its answers.
Question = tuple[list[int], list[list[int]]]
_WITH_BOS = 1


class Given(msgspec.Struct, frozen=True):
    """What a model gave to each item: whether it is correct, and of its right answer the values of a TaskRecord."""

    correct: np.ndarray
    nll: np.ndarray
    n_tokens: np.ndarray
    n_top: np.ndarray


def tokenize(model: Gguf, tasks: Sequence[Sequence[Item]], build: Build) -> list[list[Question]]:
    """Token ids of several tasks' items. An answer's ids continue the prompt's as in the text of both."""
    texts = [(item.prompt, item.answers) for items in tasks for item in items]
    with store.scratch() as folder:
        given, out = folder / "items.json", folder / "tokens.json"
        given.write_bytes(msgspec.json.encode(texts))
        request: dict[str, object] = {
            "op": "tokenize_items",
            "source": model.path,
            "items": str(given),
            "out": str(out),
        }
        programs.work(build, request, what="tokenizing the tasks")
        found = iter(msgspec.json.decode(out.read_bytes(), type=list[Question]))
    return [[next(found) for _ in items] for items in tasks]


def longest(questions: Sequence[Question]) -> int:
    """Tokens of the longest prompt with its longest answer, and one for BOS."""
    return max(len(prompt) + max(map(len, answers)) for prompt, answers in questions) + _WITH_BOS


def score(
    run: Candidate,
    tasks: Sequence[Sequence[Question]],
    build: Build,
    *,
    n_threads: int,
    calibration: Tokens | None = None,
    on_progress: Callable[[float], None] = lambda _: None,
) -> list[Given]:
    """Score all answers of several tasks with one model, teacher-forced. ``calibration``: for static activations."""

    def event(e: dict[str, object]) -> None:
        if e.get("event") == "progress":
            on_progress(programs.share(e))

    with store.scratch() as folder:
        argv = ["--model", run.model.path, "--out", str(folder / "scores"), "--threads", str(n_threads)]
        for k, questions in enumerate(tasks):
            _write(folder / f"{k}.i32", questions)
            argv += ["--items", str(folder / f"{k}.i32")]
        if run.model.adapter:
            argv += ["--adapter", run.model.adapter.path]
        if run.activations:
            argv += ["--activations", run.activations]
        if run.n_ubatch:
            argv += ["--ubatch", str(run.n_ubatch)]
        if calibration:
            calibration.ids.tofile(folder / "calibration.i32")
            argv += ["--calibration", str(folder / "calibration.i32"), "--n-ctx", str(calibration.n_ctx)]
        programs.native(build, "score", argv, what="scoring tasks", on_event=event)
        return [
            _judge(
                questions,
                np.fromfile(folder / f"scores.{k}.nll.f32", np.float32),
                np.fromfile(folder / f"scores.{k}.top.i32", np.int32),
            )
            for k, questions in enumerate(tasks)
        ]


def _write(path: Path, questions: Sequence[Question]) -> None:
    """The form that ``edgeq-score`` reads: counts, each followed by what it counts."""
    values = [len(questions)]
    for prompt, answers in questions:
        values += [len(prompt), *prompt, len(answers)]
        for answer in answers:
            values += [len(answer), *answer]
    np.array(values, np.int32).tofile(path)


def _judge(questions: Sequence[Question], nll: np.ndarray, top: np.ndarray) -> Given:
    """The right answer is the first. A choice goes to the lowest -ln p per token, as in llama.cpp's HellaSwag."""
    n_answers = np.array([len(answers) for _, answers in questions])
    first = np.cumsum(n_answers) - n_answers
    n_tokens = np.array([len(answer) for _, answers in questions for answer in answers])
    of_item = np.split(nll / n_tokens, first[1:])
    chosen = np.array([bool((mean[0] < mean[1:]).all()) for mean in of_item])
    correct = np.where(n_answers > 1, chosen, top[first] == n_tokens[first])
    return Given(correct, nll[first], n_tokens[first], top[first])
