"""Progress on standard error: a bar with time left in a terminal, one line per step elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

_console = Console(stderr=True)


@contextlib.contextmanager
def step(name: str) -> Iterator[Callable[..., None]]:
    """Show one step. The value is called with the share done (None: unknown), what is being done, and a live detail."""
    started = time.monotonic()
    if not _console.is_terminal:
        words: list[str] = []

        def note(share: float | None, text: str = "", detail: str = "") -> None:
            if text and text not in words:
                words.append(text)
                _console.print(f"  {name:10} {text}", highlight=False, markup=False)

        yield note
    else:
        columns = (
            TextColumn("  {task.fields[step]:10}"),
            BarColumn(24),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}", markup=False),
        )
        with Progress(*columns, console=_console, transient=True) as progress:
            task = progress.add_task("", step=name, total=None)

            def update(share: float | None, text: str | None = None, detail: str = "") -> None:
                said = text if text is not None else progress.tasks[0].description
                progress.update(
                    task,
                    total=None if share is None else 1.0,
                    completed=share or 0.0,
                    description=f"{said}  {detail}" if detail else said,
                )

            yield update
    _console.print(f"  {name:10} done in {time.monotonic() - started:.1f} s", highlight=False)
