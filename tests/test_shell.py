"""Starting programs: events, failures as sentences, and nothing that survives edgeq."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from edgeq import shell
from edgeq.errors import EdgeqError, InputError, MissingError, ToolError


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_events_and_output_arrive_in_order(tmp_path: Path) -> None:
    events, log = tmp_path / "events", tmp_path / "log"
    code = f"""
import time
f = open({str(events)!r}, "a", buffering=1)
for i in range(5):
    f.write('{{"event": "progress", "done": %d}}\\n' % i); print("line", i, flush=True); time.sleep(0.02)
"""
    seen: list[object] = []
    lines: list[str] = []
    shell.run(
        python(code),
        what="x",
        log=log,
        events=events,
        on_event=lambda e: seen.append(e["done"]),
        on_line=lines.append,
    )
    assert seen == [0, 1, 2, 3, 4]
    assert lines == [f"line {i}" for i in range(5)]


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        ("import sys; print('the reason'); sys.exit(3)", ToolError, "exit status 3"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", ToolError, "SIGSEGV"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", ToolError, "SIGKILL"),
    ],
)
def test_failures_are_sentences(tmp_path: Path, code: str, kind: type[EdgeqError], words: str) -> None:
    with pytest.raises(kind, match=words) as e:
        shell.run(python(code), what="testing", log=tmp_path / "log")
    assert e.value.hint
    assert isinstance(e.value, ToolError)
    assert "SIGKILL" not in e.value.text or "memory" in e.value.hint
    assert "the reason" not in code or "the reason" in e.value.tail


@pytest.mark.parametrize(
    ("code", "kind"), [("load", InputError), ("output", MissingError), ("memory", ToolError), ("abort", ToolError)]
)
def test_error_events_say_whose_turn_it_is(tmp_path: Path, code: str, kind: type[EdgeqError]) -> None:
    events = tmp_path / "events"
    line = json.dumps({"event": "error", "code": code, "text": "it broke"})
    with pytest.raises(kind, match="testing failed: it broke"):
        shell.run(
            python(f"open({str(events)!r}, 'w').write({line!r} + chr(10)); raise SystemExit(5)"),
            what="testing",
            log=tmp_path / "log",
            events=events,
        )


def test_a_missing_program_is_said(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="can't be started"):
        shell.run([str(tmp_path / "nothing")], what="testing", log=tmp_path / "log")


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGTERM])
def test_programs_die_with_edgeq(tmp_path: Path, by: signal.Signals) -> None:
    pid_file = tmp_path / "pid"
    inner = f"import os, time; open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    outer = (
        "import sys; from pathlib import Path; from edgeq import shell;"
        f"shell.run([sys.executable, '-c', {inner!r}], what='x', log=Path({str(tmp_path / 'log')!r}))"
    )
    edgeq = subprocess.Popen(python(outer))
    try:
        wait_for(lambda: pid_file.exists() and pid_file.read_text() != "")
        pid = int(pid_file.read_text())
        os.kill(edgeq.pid, by)
        edgeq.wait(10)
        wait_for(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    finally:
        edgeq.kill()


def wait_for(condition, timeout_s: float = 10.0) -> None:  # type: ignore[no-untyped-def]
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
