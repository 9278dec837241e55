"""`make demo` in a fresh clone with an empty cache: minutes in all, and of what."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from pathlib import Path

from benchmarks.common import ROOT, say


def run() -> None:
    """Print the total and the steps. Packages come from pip's own cache where it has them."""
    with tempfile.TemporaryDirectory(prefix="edgeq-demo-") as top:
        clone = Path(top) / "edgeq"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        start = time.monotonic()
        env = {**os.environ, "EDGEQ_CACHE": f"{top}/cache"}
        done = subprocess.run(["make", "demo"], cwd=clone, env=env, capture_output=True, text=True)
        seconds = time.monotonic() - start
        if done.returncode:
            raise SystemExit(done.stderr[-2000:])
    steps = re.findall(r"^ +(\w+) +done in ([\d.]+) s", done.stderr, re.M)
    shown = ", ".join(f"{name} {float(s):.0f} s" for name, s in steps)
    say("demo", f"{seconds / 60:.1f} minutes from an empty cache ({shown})")


if __name__ == "__main__":
    run()
