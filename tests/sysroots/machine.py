"""What all fake machines have in common: files whose content depends on a virtual time, and the time itself.

One timetable serves all of them: idle, prefill, decode and idle again, each long enough for a sensor that gives one
value a second. In each state the power is constant, so that every energy can be worked out by hand.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Literal

from edgeq.access import Access

State = Literal["idle", "prefill", "decode"]
Content = str | bytes | Callable[[float], str | bytes]

IDLE_S = 150.0
LOAD_S = 5.0
REP_S = 15.0
N_REPS = 10
PREFILL_S = IDLE_S + LOAD_S  # when the first prefill begins
DECODE_S = PREFILL_S + N_REPS * REP_S
DONE_S = DECODE_S + N_REPS * REP_S
END_S = DONE_S + IDLE_S
# The kernel's monotonic clock does not begin at 0.
START_NS = 1_000_000_000_000


def state(t_s: float) -> State:
    """What the machine does at this time."""
    if PREFILL_S <= t_s < DECODE_S:
        return "prefill"
    return "decode" if DECODE_S <= t_s < DONE_S else "idle"


def energy(t_s: float, watts: dict[State, float]) -> float:
    """Joules used from time 0 on: what a counter shows."""
    cuts = (0.0, PREFILL_S, DECODE_S, DONE_S, float("inf"))
    states: tuple[State, ...] = ("idle", "prefill", "decode", "idle")
    return sum(
        watts[s] * max(0.0, min(t_s, stop) - start) for s, start, stop in zip(states, cuts, cuts[1:], strict=False)
    )


class Machine:
    """A root folder, a virtual clock, and answers that depend on it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.t_s = 0.0
        self.live: dict[Path, Callable[[float], str | bytes]] = {}
        self.denied: set[Path] = set()
        self.commands: dict[str, Callable[[list[str]], str | None]] = {}
        self.modules: dict[str, Any] = {}

    def file(self, path: str, content: Content) -> Path:
        """Make a file. A function of the time in seconds gives its content at each reading, or raises OSError."""
        where = self.root / path
        where.parent.mkdir(parents=True, exist_ok=True)
        self.live.pop(where, None)
        if callable(content):
            self.live[where] = content
            content = ""
        where.write_bytes(content.encode() if isinstance(content, str) else content)
        return where

    def deny(self, path: str) -> None:
        """Nobody may read this file, not even root, whom chmod does not stop."""
        self.denied.add(self.root / path)

    def open(self, path: Path) -> BinaryIO:
        """As the kernel would."""
        if path in self.denied:
            raise PermissionError(13, "Permission denied", str(path))
        if path in self.live:
            content = self.live[path](self.t_s)
            return io.BytesIO(content.encode() if isinstance(content, str) else content)
        return path.open("rb")

    def run(self, argv: Any) -> str | None:
        """Standard output of a command that this machine has."""
        command = self.commands.get(argv[0])
        return command(list(argv)) if command else None

    def load(self, name: str) -> Any:
        """A module that this machine has."""
        if name not in self.modules:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return self.modules[name]

    def sleep(self, seconds: float) -> None:
        """Let the virtual time pass."""
        self.t_s += seconds

    def clock(self) -> int:
        """Virtual CLOCK_MONOTONIC."""
        return START_NS + round(self.t_s * 1e9)

    def access(self, **more: Any) -> Access:
        """Everything through which a sensor sees this machine."""
        given: dict[str, Any] = {
            "root": self.root, "platform": "linux", "clock": self.clock, "suspended": lambda: 0,
            "sleep": self.sleep, "opener": self.open, "run": self.run, "load": self.load,
        }  # fmt: skip
        return Access(**{**given, **more})
