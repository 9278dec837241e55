"""The only module that starts processes: argument lists, never a shell string.

Every program runs behind a small guard process (this file, run as ``python -m edgeq.shell``) that holds the read
end of a pipe from edgeq. When edgeq ends, however it ends, the pipe closes and the guard kills the program's
whole session: after ``kill -9`` nothing goes on writing into files that a second run is about to use.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from edgeq.errors import InputError, MissingError, ToolError

Event = dict[str, object]
OnEvent = Callable[[Event], None]
_POLL_S = 0.05
_TAIL_LINES = 12


class Program:
    """A running program: its process id, and the lines it has written since the last look."""

    def __init__(self, argv: Sequence[str], log: Path, env: Mapping[str, str] | None, cwd: Path | None) -> None:
        self.argv = [str(a) for a in argv]
        self.log = log
        self._log_file = log.open("ab")
        try:
            self._guard = subprocess.Popen(
                [sys.executable, "-m", "edgeq.shell", *self.argv],
                stdin=subprocess.PIPE,
                stdout=self._log_file,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
                cwd=cwd,
                start_new_session=True,
            )
        except BaseException:
            self._log_file.close()
            raise

    @property
    def guard_pid(self) -> int:
        """Process id of the guard; the program itself is its only child."""
        return self._guard.pid

    def poll(self) -> int | None:
        """Exit status, 128 + signal number for a program ended by a signal, or None while it runs."""
        return self._guard.poll()

    def close(self) -> None:
        """End the program if it still runs, and wait until it is gone."""
        with contextlib.suppress(OSError):
            assert self._guard.stdin is not None
            self._guard.stdin.close()
        self._guard.wait()
        self._log_file.close()


def run(
    argv: Sequence[str],
    *,
    what: str,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    events: Path | None = None,
    on_event: Callable[[Event], None] | None = None,
    on_line: Callable[[str], None] | None = None,
    on_start: Callable[[int], None] | None = None,
) -> None:
    """Run a program to its end; its output goes to ``log``, its events are handed on as they come.

    ``what`` names the work for the error sentence ("quantizing to Q2_K"). ``on_start`` gets the guard's process id.
    Raises ToolError, or InputError/MissingError where the program's own error event says whose turn it is.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    last: Event = {}

    def take(event: Event) -> None:
        nonlocal last
        last = event
        if on_event is not None and event.get("event") != "error":
            on_event(event)

    # Both begin where the files end now: what a quick program writes before the first look is not lost.
    lines = _Follow(log) if on_line is not None else None
    news = _Follow(events) if events is not None else None
    program = Program(argv, log, env, cwd)
    try:
        if on_start is not None:
            on_start(program.guard_pid)
        while True:
            status = program.poll()
            for line in lines or ():
                assert on_line is not None
                on_line(line)
            for line in news or ():
                take(_event(line))
            if status is not None:
                break
            time.sleep(_POLL_S)
    finally:
        program.close()
    if status != 0 or last.get("event") == "error":
        raise _failure(what, program.argv, status, last, log)


class Lines:
    """A program that goes on printing lines: those that have come since the last look."""

    def __init__(self, argv: Sequence[str]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="edgeq-")
        log = Path(self._folder.name) / "lines"
        # A Python program would keep its lines back until 8 KiB are together.
        self._program = Program(argv, log, {"PYTHONUNBUFFERED": "1"}, None)
        self._follow = _Follow(log)

    def take(self) -> list[str]:
        """Complete lines, of standard output and standard error, that were not taken yet."""
        return list(self._follow)

    def poll(self) -> int | None:
        """Exit status as of `Program.poll`, None while the program runs."""
        return self._program.poll()

    def close(self) -> None:
        """End the program."""
        self._program.close()
        self._folder.cleanup()


def output(argv: Sequence[str], *, timeout_s: float = 30.0) -> str | None:
    """Standard output of a short informational command, or None where it is missing or fails."""
    try:
        done = subprocess.run(
            [str(a) for a in argv], capture_output=True, text=True, timeout=timeout_s, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


class _Follow:
    """Iterating gives the complete lines that were appended to a file since the last time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = path.stat().st_size if path.exists() else 0

    def __iter__(self) -> Iterator[str]:
        try:
            with self._path.open("rb") as f:
                f.seek(self._offset)
                data = f.read()
        except FileNotFoundError:
            return
        end = data.rfind(b"\n") + 1
        self._offset += end
        yield from data[:end].decode("utf-8", "replace").splitlines()


def _event(line: str) -> Event:
    try:
        return msgspec.json.decode(line, type=Event)
    except msgspec.DecodeError:
        return {"event": "error", "code": "protocol", "text": f"a damaged event line: {line[:80]!r}"}


def _failure(what: str, argv: list[str], status: int, last: Event, log: Path) -> ToolError | InputError | MissingError:
    tail = "\n".join(log.read_text("utf-8", "replace").splitlines()[-_TAIL_LINES:]) if log.exists() else ""
    name = Path(argv[0]).name
    if last.get("event") == "error":
        text = f"{what} failed: {last.get('text')}"
        code = last.get("code")
        if code in ("input", "load"):
            return InputError(text, f"The log is {log}.")
        if code == "output":
            return MissingError(text, "Free some space or choose another folder, then run the same command again.")
        hint = "Use a smaller model, context or batch." if code == "memory" else f"The log is {log}."
        return ToolError(text, hint, status=status, log=log)
    if "No space left on device" in tail:
        return MissingError(
            f"{what} failed: there is no space left.", f"Free some, then run it again. The log is {log}."
        )
    if status == 127:
        return MissingError(f"{what} failed: the program {name} can't be started.", "Run `edgeq build` again.")
    if status > 128:
        by = _signal_name(status - 128)
        hint = (
            "The usual reason is that memory ran out: close other programs or use a smaller model or context."
            if by == "SIGKILL"
            else f"The log is {log}."
        )
        aborted = re.findall(r"\S*: GGML_ASSERT.*|GGML_ASSERT.*", tail)
        reason = f" ({aborted[-1]})" if aborted else ""
        return ToolError(f"{what} failed: {name} was ended by {by}{reason}.", hint, status=status, tail=tail, log=log)
    return ToolError(
        f"{what} failed: {name} gave exit status {status}.", f"The log is {log}.", status=status, tail=tail, log=log
    )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _guard(argv: list[str]) -> int:
    try:
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
    except OSError as e:
        print(f"{argv[0]}: {e.strerror}", file=sys.stderr)
        return 127

    def watch() -> None:
        os.read(0, 1)  # returns only at end of file: edgeq is gone or has let go
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()
    status = child.wait()
    return 128 - status if status < 0 else status


if __name__ == "__main__":
    sys.exit(_guard(sys.argv[1:]))
