"""Your own multiple-choice questions, from a file of JSON Lines."""

from __future__ import annotations

from pathlib import Path

import msgspec

from edgeq.errors import InputError
from edgeq.records import Item

_HINT = 'Write one {"question": "...", "choices": ["...", "..."], "answer": 0} a line.'


class Choices(msgspec.Struct, frozen=True):
    """A line of the file. ``answer``: the index of the right choice, from 0, or its text. Other keys are left alone."""

    question: str
    choices: list[str]
    answer: int | str


def load_choices(path: Path) -> tuple[Item, ...]:
    """An item for each line, the right choice first.

    The question is given to the model as it stands, without examples, and each choice follows it after a space, or
    directly where it begins with a space or line break of its own. Blank lines are skipped. Raises InputError, which
    names file and line, for what is no such question, and where there is none.
    """
    try:
        lines = path.read_text("utf-8-sig").split("\n")
    except OSError as e:
        raise InputError(f"{path} can't be read: {e.strerror}.") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not a text in UTF-8.", _HINT) from None
    items = tuple(_item(f"{path}, line {i}", line) for i, line in enumerate(lines, 1) if line.strip())
    if not items:
        raise InputError(f"There are no questions in {path}.", _HINT)
    return items


def _item(where: str, line: str) -> Item:
    try:
        found = msgspec.json.decode(line, type=Choices)
    except msgspec.DecodeError as e:
        raise InputError(f"{where}: {e}.", _HINT) from None
    choices = [choice if choice[:1].isspace() else f" {choice}" for choice in found.choices]
    if not found.question.strip() or not all(map(str.strip, choices)):
        raise InputError(f"{where}: the question or a choice is empty.", _HINT)
    if len(choices) < 2 or len(set(choices)) < len(choices):
        raise InputError(f"{where}: there must be two or more choices, all different.", _HINT)
    at = found.answer if isinstance(found.answer, int) else _index(where, found)
    if not 0 <= at < len(choices):
        raise InputError(f"{where}: there is no choice {at} among {len(choices)}.", "The first one is 0.")
    return Item(found.question, (choices.pop(at), *choices))


def _index(where: str, found: Choices) -> int:
    if found.answer not in found.choices:
        raise InputError(
            f"{where}: the answer {found.answer!r} is none of the choices.",
            "Give the text of one of them, or its index, from 0.",
        )
    return found.choices.index(str(found.answer))
