"""Why a file can't be made, on its way from the worker process to the user."""

from __future__ import annotations


class Refused(Exception):
    """The work was refused. ``code``: input (the caller's file or value), output (can't write), abort."""

    def __init__(self, text: str, code: str = "input") -> None:
        super().__init__(text)
        self.code = code
