"""The shelf of tasks: questions are the same everywhere, right, balanced, harder by level, and not to be guessed."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections import Counter
from functools import cache
from pathlib import Path

import msgspec
import pytest

from edgeq import plugins
from edgeq.errors import InputError
from edgeq.records import Item
from edgeq.tasks import _words, load_choices
from edgeq.tasks._random import Draws

from .solving import SOLVERS, mentioned

NAMES = plugins.modules("tasks")
LEVELS = [(name, level) for name in NAMES for level in range(plugins.module("tasks", name).N_LEVELS)]
CHOICES = [(name, level) for name, level in LEVELS if plugins.module("tasks", name).CHOICE]
N = 48  # a multiple of the number of cases of every level
DOCUMENT = Path(__file__).parents[1] / "docs" / "tasks.md"
each_task = pytest.mark.parametrize("name", NAMES)
each_level = pytest.mark.parametrize(("name", "level"), LEVELS)
each_choice = pytest.mark.parametrize(("name", "level"), CHOICES)

# SHA-256 of five items of each level with seed 7. Old results of a task can't be compared with those of other items:
# this says when they have changed, and whether another version of Python makes others.
PINNED = {
    "arithmetic": "1bcc87521d4b3e98",
    "copying": "95610552120fbcc9",
    "counting": "babf9a47f6f4a0ea",
    "decimals": "79d41b952816de9b",
    "multiplication": "7a4620ab0cc43507",
    "ordering": "4fdba12e360000e8",
    "relations": "238e3bf1e6b7565b",
    "retrieval": "c688d949e678f934",
    "sorting": "6a7b4ae6a5dd2882",
    "syllogisms": "e55d0352908ea2f6",
}


@cache
def items(name: str, level: int, n: int = N, seed: int = 1) -> tuple[Item, ...]:
    made: tuple[Item, ...] = plugins.module("tasks", name).items(seed, level, n)
    return made


def asked(item: Item) -> str:
    """The question itself, without the examples before it."""
    return item.prompt.rsplit("\n\n", 1)[1]


def examples(item: Item) -> list[tuple[str, str]]:
    """The questions and answers before the question; all questions of a level end with the same character."""
    end = item.prompt[-1]
    parts = [text.rpartition(f"{end} ") for text in item.prompt.split("\n\n")[:-1]]
    return [(f"{question}{end}", f" {answer}") for question, _, answer in parts]


@each_task
def test_the_contract(name: str) -> None:
    task = plugins.module("tasks", name)
    assert name == task.TITLE
    assert task.GROUP in ("numerics", "reasoning", "long context")
    assert 6 <= task.N_LEVELS == len(task.LEVELS) <= 8
    assert (0.5 if task.CHOICE else 0.0) == task.CHANCE
    for level in range(task.N_LEVELS):
        assert {len(item.answers) for item in items(name, level)} == {2 if task.CHOICE else 1}
        assert all(re.fullmatch(r"( \S+)+", answer) for item in items(name, level) for answer in item.answers)


@each_task
def test_items_are_the_same_on_every_machine(name: str) -> None:
    task = plugins.module("tasks", name)
    made = [task.items(7, level, 5) for level in range(task.N_LEVELS)]
    assert hashlib.sha256(msgspec.json.encode(made)).hexdigest()[:16] == PINNED[name]


@each_level
def test_items_are_many_and_different(name: str, level: int) -> None:
    made = items(name, level)
    assert len({item.prompt for item in made}) == N
    assert not {item.prompt for item in made} & {item.prompt for item in items(name, level, seed=2)}
    before = {tuple(examples(item)) for item in made}
    assert len(before) == 1
    (shown,) = before
    assert len({question for question, _ in shown}) == 3
    assert not {question for question, _ in shown} & {asked(item) for item in made}


def test_what_recurs_is_never_an_example() -> None:
    made = items("arithmetic", 0, 200)
    questions = Counter(map(asked, made))
    assert len(questions) == 9 * 9 - 3  # all sums of two digits but the examples
    assert {question for question, _ in examples(made[0])} & set(questions) == set()
    assert set(questions.values()) == {2, 3}


@each_level
def test_right_answers_are_right_and_wrong_ones_wrong(name: str, level: int) -> None:
    made = items(name, level)
    for item in made:
        assert SOLVERS[name](asked(item), item.answers).right == [item.answers[0]]
    for question, answer in examples(made[0]):
        assert SOLVERS[name](question, (answer,)).right == [answer]


@each_task
def test_levels_grow(name: str) -> None:
    works = []
    for level in range(plugins.module("tasks", name).N_LEVELS):
        solved = [SOLVERS[name](asked(item), item.answers).work for item in items(name, level)]
        works.append(tuple(sum(part) / N for part in zip(*solved, strict=True)))
    assert works == sorted(works)
    assert len(set(works)) == len(works)


@each_level
def test_open_answers_end_where_they_end(name: str, level: int) -> None:
    """What follows an answer is not scored, so that none may be the beginning of another."""
    if plugins.module("tasks", name).CHOICE:
        return
    answers = sorted({item.answers[0] for item in items(name, level, 200)})
    assert not any(b.startswith(a) for a, b in itertools.pairwise(answers))


@each_level
def test_no_fixed_answer_helps(name: str, level: int) -> None:
    made = items(name, level, 200)
    ((_, n_right),) = Counter(item.answers[0] for item in made).most_common(1)
    assert n_right <= (100 if plugins.module("tasks", name).CHOICE else 200 / 6)


@each_choice
def test_neither_place_nor_length_tells_the_right_answer(name: str, level: int) -> None:
    right_first = right_last = right_longer = told = longer = 0
    for item in items(name, level):
        right, wrong = (mentioned(asked(item), answer) for answer in item.answers)
        if right and wrong:
            told += 1
            right_first += right[0] < wrong[0]
            right_last += right[-1] > wrong[-1]
        lengths = [len(answer) for answer in item.answers]
        if name == "decimals" and lengths[0] != lengths[1]:
            longer += 1
            right_longer += lengths[0] > lengths[1]
    assert right_first == right_last == told / 2
    assert right_longer == longer / 2
    # Only where the answer was just given may the wrong one not be told at all.
    assert told == (0 if level == 0 and name != "decimals" else N) or set(item.answers) == {" yes", " no"}


@pytest.mark.parametrize("level", [4, 5, 6, 7])
def test_decimals_read_as_whole_numbers_mislead_half_of_the_time(level: int) -> None:
    fooled = 0
    for item in items("decimals", level):
        right, wrong = (int(answer.split(".")[1]) for answer in item.answers)
        fooled += (right > wrong) != asked(item).startswith("max")
    assert fooled == N / 2


def test_a_list_to_sort_is_not_sorted_already() -> None:
    given = Counter(
        tuple(sorted(range(3), key=re.findall(r"\d", asked(item)).__getitem__)) for item in items("sorting", 0, 200)
    )
    assert len(given) == 6
    assert max(given.values()) < 200 * (1 / 6 + 3 * (5 / 36 / 200) ** 0.5)


@pytest.mark.parametrize("level", range(8))
def test_retrieval_asks_at_the_depth_it_says(level: int) -> None:
    made = items("retrieval", level, 50)
    assert Counter(item.place for item in made) == dict.fromkeys(("0 %", "25 %", "50 %", "75 %", "100 %"), 10)
    for item in made:
        *lines, key = asked(item).split("\n")
        at = next(i for i, line in enumerate(lines) if line.startswith(key))
        # All ten neighbors of a depth count as it.
        assert at / (len(lines) - 1) == pytest.approx(int(item.place[:-2]) / 100, abs=10 / len(lines))
    if len(lines) >= len(made):
        assert len({item.prompt.rpartition("\n")[0] for item in made}) == 1  # one list, which is decoded once


def test_words_can_be_told_apart() -> None:
    for words in (_words.NAMES, _words.GROUPS):
        assert not [(a, b) for a in words for b in words if a != b and a in b]
    assert len(set(_words.THINGS)) == len(_words.THINGS)


def test_draws() -> None:
    draws = Draws("key", 1)
    assert draws.below(10**6) == int(hashlib.sha256(b"key:1:1").hexdigest(), 16) % 10**6
    assert {draws.number(2) for _ in range(2000)} == set(range(10, 100))
    shuffles = Counter(tuple(draws.shuffled("abc")) for _ in range(6000))
    assert len(shuffles) == 6
    assert all(abs(n - 1000) < 4 * (6000 * 5 / 36) ** 0.5 for n in shuffles.values())
    assert Counter(len(set(draws.some(range(5), 4))) for _ in range(50)) == {4: 50}


def test_your_own_questions(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text(
        '\ufeff{"question": "Q: 1 + 1?\\nA:", "choices": ["1", "2", "3"], "answer": 1}\n'
        "\n"
        '{"question": "Ça va", "choices": [" bien", "\\nmal"], "answer": "\\nmal", "id": 7}\r\n',
        "utf-8",
    )
    assert load_choices(path) == (
        Item("Q: 1 + 1?\nA:", (" 2", " 1", " 3")),
        Item("Ça va", ("\nmal", " bien")),
    )


GOOD = '{"question": "q", "choices": ["a", "b"], "answer": 0}'


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "truncated"),
        ("[]", "object"),
        ('{"question": "q", "choices": ["a", "b"]}', "answer"),
        ('{"question": 1, "choices": ["a", "b"], "answer": 0}', r"\$.question"),
        ('{"question": " ", "choices": ["a", "b"], "answer": 0}', "empty"),
        ('{"question": "q", "choices": ["a", ""], "answer": 0}', "empty"),
        ('{"question": "q", "choices": ["a"], "answer": 0}', "two or more"),
        ('{"question": "q", "choices": ["a", " a"], "answer": 0}', "different"),
        ('{"question": "q", "choices": ["a", "b"], "answer": 2}', "no choice 2"),
        ('{"question": "q", "choices": ["a", "b"], "answer": -1}', "no choice -1"),
        ('{"question": "q", "choices": ["a", "b"], "answer": true}', r"\$.answer"),
        ('{"question": "q", "choices": ["a", "b"], "answer": "B"}', "'B' is none of the choices"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text(f"{GOOD}\n{line}\n")
    with pytest.raises(InputError, match=rf"mine\.jsonl, line 2: .*{said}"):
        load_choices(path)


@pytest.mark.parametrize(
    ("content", "said"), [(None, "can't be read"), (b"\n", "no questions"), (GOOD.encode("utf-16"), "UTF-8")]
)
def test_a_bad_file_is_named(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "mine.jsonl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=said) as error:
        load_choices(path)
    assert "mine.jsonl" in error.value.text


@each_task
def test_the_document_shows_real_questions(name: str) -> None:
    text = DOCUMENT.read_text()
    task = plugins.module("tasks", name)
    found = re.search(rf"^### {name}\n.*?Level (\d) of {task.N_LEVELS}:\n\n```text\n(.*?)\n```", text, re.M | re.S)
    assert found
    item = items(name, int(found[1]))[0]
    wrong = f" (not{item.answers[1]})" if task.CHOICE else ""
    assert found[2] == f"{asked(item)}{item.answers[0]}{wrong}"


def test_the_document_has_all_tasks() -> None:
    text = DOCUMENT.read_text()
    assert sorted(re.findall(r"^### (\w+)", text, re.M)) == NAMES
    for name in NAMES:
        task = plugins.module("tasks", name)
        assert f"| `{name}` | {task.GROUP} | {'choice' if task.CHOICE else 'open'} | {task.N_LEVELS} |" in text


def test_the_document_shows_questions_that_can_be_read(tmp_path: Path) -> None:
    (example,) = re.findall(r"```json\n(.*?)```", DOCUMENT.read_text(), re.S)
    (tmp_path / "mine.jsonl").write_text(example)
    assert [item.answers[0] for item in load_choices(tmp_path / "mine.jsonl")] == [
        " carbon dioxide",
        " waited for it to boil.",
    ]
