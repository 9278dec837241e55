"""How long `edgeq --help` takes."""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

from benchmarks.common import say, timed


def run(times: int) -> None:
    """Print the median, and that of a Python that does nothing."""
    edgeq = statistics.median(timed(Path(sys.executable).with_name("edgeq"), "--help") for _ in range(times))
    python = statistics.median(timed(sys.executable, "-c", "") for _ in range(times))
    say("startup", f"edgeq --help {edgeq * 1000:.0f} ms (an empty Python {python * 1000:.0f} ms)")
