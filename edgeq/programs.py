"""Calling the programs of a build: the native ones, and the worker process that holds the llama.cpp binding.

llama.cpp can abort the process that called it, so neither is ever part of the CLI's own process.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from edgeq import shell, store
from edgeq.errors import ToolError
from edgeq.records import Build
from edgeq.shell import Event


def log_path(build: Build, role: str) -> Path:
    """Where the output of the last call of this program is kept."""
    return store.make_folder(store.cache_dir() / "logs") / f"{build.key}-{role}.log"


def native(
    build: Build,
    role: str,
    argv: Sequence[str],
    *,
    what: str,
    on_event: Callable[[Event], None] | None = None,
    on_start: Callable[[int], None] | None = None,
) -> list[Event]:
    """Run one of our native programs and give its events."""
    return _call([build.tool(role), *argv], build, role, what, on_event, on_start)


def work(
    build: Build,
    request: dict[str, object],
    *,
    what: str,
    on_event: Callable[[Event], None] | None = None,
) -> list[Event]:
    """Run one request in a worker process and give its events. Requests are described in `edgeq.worker`."""
    with store.scratch() as folder:
        path = folder / "request.json"
        path.write_bytes(msgspec.json.encode(request))
        argv = [sys.executable, "-m", "edgeq.worker", str(path)]
        return _call(argv, build, "worker", what, on_event, None)


def one(events: list[Event], kind: str) -> Event:
    """The only event of this kind. Raises ToolError where the program ended without it."""
    found = [e for e in events if e.get("event") == kind]
    if len(found) != 1:
        raise ToolError(f"A program of the build gave {len(found)} {kind} events instead of one.")
    return found[0]


def share(event: Event) -> float:
    """The share done that a progress event tells, from 0 to 1."""
    done, total = msgspec.convert((event["done"], event["total"]), tuple[int, int])
    return done / total


def _call(
    argv: list[str],
    build: Build,
    role: str,
    what: str,
    on_event: Callable[[Event], None] | None,
    on_start: Callable[[int], None] | None,
) -> list[Event]:
    log = log_path(build, role)
    log.unlink(missing_ok=True)
    collected: list[Event] = []

    def take(event: Event) -> None:
        collected.append(event)
        if on_event is not None:
            on_event(event)

    with store.scratch() as folder:
        events = folder / "events.jsonl"
        shell.run(
            [*argv, "--events", str(events)],
            what=what,
            log=log,
            # Without the second, ggml starts a debugger on an abort and fills the log with its backtrace. The third is
            # for numpy's threads, which spin while they wait: on busy cores they take many times longer than one.
            env={
                "LLAMA_CPP_LIB_PATH": str(Path(build.folder) / "bin"),
                "GGML_NO_BACKTRACE": "1",
                "OPENBLAS_NUM_THREADS": "1",
            },
            events=events,
            on_event=take,
            on_start=on_start,
        )
    return collected
