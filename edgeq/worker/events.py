"""Events of the worker: one JSON object a line, the same form as the native programs'."""

from __future__ import annotations

from pathlib import Path

import msgspec


class Events:
    """Appends events to a file, each complete at once."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)

    def send(self, event: str, **fields: object) -> None:
        """Append one event."""
        self._file.write(msgspec.json.encode({"event": event, **fields}) + b"\n")
