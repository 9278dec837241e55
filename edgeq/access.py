"""Everything through which a sensor touches the world, in one place, so that a test can put another world there."""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from edgeq import shell
from edgeq.records import Profile


def _open(path: Path) -> BinaryIO:
    # A sensor file is read whole and once: a buffer would only cost time.
    return path.open("rb", buffering=0)


def _suspended_ns() -> int:
    if not hasattr(time, "CLOCK_BOOTTIME"):
        return 0
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.clock_gettime_ns(time.CLOCK_MONOTONIC)


@dataclass(frozen=True)
class Access:
    """File system, clock, commands and modules as a sensor sees them.

    ``root``: where the file system begins. ``pid``: the measured process, None where there is none yet; ``model``: the
    file it maps. ``clock``: nanoseconds on CLOCK_MONOTONIC; ``suspended``: those that the machine has slept.
    ``opener``: opens a file for reading, raises OSError. ``run``: standard output of a command, None where it is
    missing or fails; ``start``: a command that goes on printing lines. ``load``: imports a module that may be absent.
    """

    root: Path = Path("/")
    pid: int | None = None
    model: Path | None = None
    profile: Profile = field(default_factory=lambda: Profile("local"))
    platform: str = sys.platform
    clock: Callable[[], int] = time.monotonic_ns
    suspended: Callable[[], int] = _suspended_ns
    sleep: Callable[[float], None] = time.sleep
    opener: Callable[[Path], BinaryIO] = _open
    run: Callable[[Sequence[str]], str | None] = shell.output
    start: Callable[[Sequence[str]], shell.Lines] = shell.Lines
    load: Callable[[str], Any] = importlib.import_module

    def text(self, path: Path) -> str:
        """Content of a small file without the white space around it. Raises OSError."""
        with self.opener(path) as f:
            return f.read().decode("utf-8", "replace").strip()

    def number(self, path: Path) -> float:
        """The number that a file holds. Raises OSError, or ValueError where it holds none."""
        return float(self.text(path))

    def try_number(self, path: Path) -> float | None:
        """As `number`, None where there is no such file or no number in it."""
        try:
            return self.number(path)
        except (OSError, ValueError):
            return None

    def find(self, pattern: str) -> list[Path]:
        """Paths under the root that match ``sys/class/hwmon/hwmon*``, in natural order."""
        return sorted(self.root.glob(pattern), key=lambda p: (len(p.name), p.name))

    def try_text(self, path: Path) -> str | None:
        """As `text`, None where the file can't be read."""
        try:
            return self.text(path)
        except OSError:
            return None
