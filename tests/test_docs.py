"""The commands of docs/deciding.md, run as they stand there."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from edgeq.records import Build

from .conftest import MODEL
from .test_run import FAST, QUICK, TEXTS, edgeq

PAGE = Path(__file__).parents[1] / "docs" / "deciding.md"
COMMANDS = re.findall(r"^\$ edgeq (.+?)(?:\s+# exit (\d+))?$", PAGE.read_text(), re.MULTILINE)


@pytest.fixture(scope="module")
def runs(built: Build, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small ``demo`` and the same with one thread."""
    folder = tmp_path_factory.mktemp("docs")
    quick = [*FAST[:2], "--tests", "pp32,tg128", *QUICK[2:]]
    for name, threads in (("demo", 2), ("demo-1t", 1)):
        if name == "demo-1t":  # what does not depend on the threads is not made again
            shutil.copytree(folder / "demo", folder / name, ignore=shutil.ignore_patterns("bench-*"))
        job = [
            "run",
            MODEL,
            "--types",
            "Q2_K,Q4_K_M,Q8_0",
            *TEXTS,
            *quick,
            "--threads",
            threads,
            "--out",
            folder / name,
        ]
        done = edgeq(*job)
        assert done.returncode == 0, done.stderr
    return folder


def test_the_page_has_every_deciding_command() -> None:
    assert {argv.split()[0] for argv, _ in COMMANDS} == {"report", "recommend", "compare", "export", "show", "verify"}


@pytest.mark.parametrize(("argv", "status"), COMMANDS, ids=[argv for argv, _ in COMMANDS])
def test_the_command_does_what_the_page_says(runs: Path, argv: str, status: str) -> None:
    parts = [str(found) for word in shlex.split(argv) for found in sorted(runs.glob(word)) or [word] if found]
    parts = [p.removeprefix(f"{runs}/") for p in parts]
    done = edgeq(*parts, cwd=runs)
    assert done.returncode == int(status or 0), done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    for flag in ("--out", "--html"):
        if flag in parts:
            assert (runs / parts[parts.index(flag) + 1]).stat().st_size > 0
