"""What the worker can be asked to do, on llama.cpp's C API through the binding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgeq.worker import dry_run, encoding, error_table, quantizing, refining_file, tokens
from edgeq.worker.events import Events


def run(request: dict[str, object], events: Events) -> None:
    """Dispatch one request to its operation."""
    operation: Callable[[dict[str, Any], Events], None] = {
        "file_types": _file_types,
        "plan": quantizing.plan,
        "quantize": quantizing.quantize,
        "refine": refining_file.refine,
        "error_table": error_table.error_table,
        "encode": encoding.encode,
        "tokenize": tokens.tokenize,
        "tokenize_items": tokens.tokenize_items,
    }[str(request["op"])]
    operation(request, events)


def _file_types(request: dict[str, Any], events: Events) -> None:
    events.send("file_types", file_types=dry_run.known_file_types())
