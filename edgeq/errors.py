"""What can go wrong, by whose turn it is to act. Each error is one sentence and what to do next."""

from __future__ import annotations

from pathlib import Path


class EdgeqError(Exception):
    """A failure with a sentence for the user, a hint on what to do next, and an exit code."""

    exit_code = 1

    def __init__(self, text: str, hint: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.hint = hint


class InputError(EdgeqError):
    """Your file or value: it can't be used as it is."""

    exit_code = 3


class MissingError(EdgeqError):
    """Something is missing: a tool, a driver, a permission, a sensor."""

    exit_code = 4


class ToolError(EdgeqError):
    """A program that edgeq started has failed."""

    exit_code = 5

    def __init__(
        self, text: str, hint: str = "", *, status: int | None = None, tail: str = "", log: Path | None = None
    ) -> None:
        super().__init__(text, hint)
        self.status = status
        self.tail = tail
        self.log = log


class DeniedError(MissingError):
    """It is there, and this user may not use it."""
