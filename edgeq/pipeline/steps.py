"""How a room's work is shown while it goes on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

Update = Callable[..., None]


class Steps(Protocol):
    """Shows what is going on: ``with steps("quantize") as update: update(share, text)``."""

    def __call__(self, name: str) -> AbstractContextManager[Update]:
        """Begin a step; the value is called with the share done (or None) and a word on what is being done."""
