"""The shape of the house: who may import whom, how long a file may be, who may start processes."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import click
import msgspec
import pytest

import edgeq
from edgeq import cli
from edgeq.plugins import module, modules
from edgeq.records import BenchSettings, Profile
from edgeq.toolchain import toolchain
from tests.sysroots.machine import Machine

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "edgeq"

# module -> the modules of edgeq it may import. A package's name stands for all of its files.
NOUNS = {"records", "errors"}
TOOLBOX = {"shell", "store", "device", "gguf_info", "plugins", "manifest", "toolchain"}
ROOMS = {
    *("convert", "calibrate", "train", "allocate", "quantize", "build", "bench", "evaluate", "analyze", "report"),
    *("profiles", "fit", "bundle", "verify", "export", "show", "doctor", "refine"),
}
MAY_IMPORT: dict[str, set[str]] = {
    "__init__": set(),
    "records": {"records"},
    "errors": set(),
    # toolbox
    "shell": {"errors"},
    "store": NOUNS,
    "device": {"records", "shell"},
    "access": {"records", "shell"},
    "gguf_header": {"errors"},
    "gguf_info": {"errors", "gguf_header"},
    "plugins": NOUNS | {"store"},
    "sources": {"errors", "shell", "store"},
    "programs": NOUNS | {"shell", "store"},
    "models": NOUNS | {"gguf_info", "store"},
    "corpus": NOUNS | {"programs", "store"},
    "instruments": NOUNS | {"access", "plugins", "sensors"},
    "recorder": {"access", "records", "sensors"},
    "converter": {"errors", "shell", "sources", "store"},
    "manifest": NOUNS | {"store"},
    "toolchain": {"access", "records"},
    "run_folder": NOUNS | {"manifest", "store"},
    "tensors": NOUNS | {"gguf_header", "gguf_info", "store", "tensors"},
    "worker": NOUNS | {"gguf_info", "plugins", "store", "tensors", "worker"},
    # shelves
    "quants": NOUNS | {"gguf_info", "quants", "tensors"},
    "tasks": NOUNS | {"tasks"},
    "backends": {"access", "backends", "records", "toolchain"},
    "sensors": NOUNS | {"access", "sensors"},
    "logs": NOUNS | {"logs", "sensors"},
    # rooms
    "profiles": NOUNS | {"access", "device", "plugins", "profiles", "store", "toolchain"},
    "build": NOUNS | {"access", "backends", "build", "device", "plugins", "shell", "sources", "store", "toolchain"},
    "convert": NOUNS | {"convert", "converter", "models", "store", "tensors"},
    "train": NOUNS
    | {"converter", "corpus", "device", "gguf_info", "models", "plugins", "programs", "store", "tensors"},
    "calibrate": NOUNS | {"corpus", "device", "gguf_info", "programs", "store"},
    "allocate": NOUNS | {"allocate", "corpus", "gguf_info", "plugins", "programs", "store"},
    "quantize": NOUNS | {"gguf_info", "models", "plugins", "programs", "store"},
    "refine": NOUNS | {"gguf_info", "models", "programs", "store"},
    "bench": NOUNS | {"access", "bench", "device", "instruments", "plugins", "programs", "recorder", "stats", "store"},
    "evaluate": NOUNS | {"corpus", "device", "evaluate", "gguf_info", "plugins", "programs", "store", "tasks"},
    "fit": NOUNS | {"device", "fit", "gguf_info", "programs"},
    "bundle": NOUNS | {"access", "bundle", "gguf_info", "manifest", "shell", "store", "toolchain"},
    "verify": NOUNS | {"gguf_info", "manifest", "run_folder", "store", "verify"},
    "export": NOUNS | {"export", "gguf_info", "plugins", "store"},
    "show": NOUNS | {"gguf_info", "models", "show", "stats", "store"},
    "stats": {"records", "stats"},
    "analyze": NOUNS | {"analyze", "stats"},
    "report": {"records", "report"},
    "doctor": NOUNS
    | {"access", "build", "converter", "device", "doctor", "instruments", "plugins", "profiles", "recorder", "sources"}
    | {"stats", "store"},
    # corridor and front desk
    "pipeline": NOUNS
    | TOOLBOX
    | ROOMS
    | {"__init__", "access", "corpus", "instruments", "models", "pipeline", "run_folder"},
    "cli": NOUNS
    | TOOLBOX
    | ROOMS
    | {"__init__", "access", "cli", "instruments", "logs", "models", "pipeline", "run_folder"},
}
PURE = {"stats", "analyze", "report"}
IMPURE = {"time", "datetime", "os", "pathlib", "subprocess", "shutil", "tempfile", "socket", "click", "random"}


def room_of(path: Path) -> str:
    """``edgeq/cli/run.py`` -> cli, ``edgeq/store.py`` -> store."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


FILES = sorted(p for p in PACKAGE.rglob("*.py") if "_share" not in p.parts)


def imported(path: Path) -> set[str]:
    """Full names of all modules that a file imports, also inside functions."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module
            names |= {f"{node.module}.{a.name}" for a in node.names} if node.module == "edgeq" else {node.module}
    return names


def edgeq_imports(path: Path) -> set[str]:
    """Rooms of edgeq that a file imports."""
    found = set()
    for name in imported(path):
        if name == "edgeq" or name == "edgeq.__version__":
            found.add("__init__")
        elif name.startswith("edgeq."):
            found.add(name.split(".")[1])
    return found


def test_every_module_is_in_the_import_table() -> None:
    assert {room_of(p) for p in FILES} == set(MAY_IMPORT)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_stay_within_the_table(path: Path) -> None:
    assert edgeq_imports(path) <= MAY_IMPORT[room_of(path)]


def test_the_table_allows_nothing_that_nobody_uses() -> None:
    used: dict[str, set[str]] = {}
    for path in FILES:
        used.setdefault(room_of(path), set()).update(edgeq_imports(path))
    unused = {room: allowed - used[room] for room, allowed in MAY_IMPORT.items()}
    # Whole groups are granted to the corridor and the front desk.
    assert {r: u for r, u in unused.items() if u - NOUNS and r not in ("pipeline", "cli")} == {}


def test_no_import_cycles() -> None:
    graph = {room: set[str]() for room in MAY_IMPORT}
    for path in FILES:
        graph[room_of(path)] |= edgeq_imports(path) - {room_of(path)}
    while leaves := {room for room, needs in graph.items() if not needs & graph.keys()}:
        graph = {room: needs for room, needs in graph.items() if room not in leaves}
    assert graph == {}


def test_no_room_imports_another_room() -> None:
    # The doctor looks at builds and profiles, which is what it is for.
    rooms = ROOMS - {"doctor"}
    assert {(r, o) for r in rooms for o in MAY_IMPORT[r] & rooms if r != o} == set()


@pytest.mark.parametrize("path", [p for p in FILES if room_of(p) in PURE], ids=lambda p: p.name)
def test_pure_modules_touch_no_clock_disk_or_process(path: Path) -> None:
    assert {name.split(".")[0] for name in imported(path)} & IMPURE == set()


def test_only_shell_starts_processes() -> None:
    starters = {"subprocess", "multiprocessing", "pty"}
    text = {p: {n.split(".")[0] for n in imported(p)} & starters for p in FILES}
    assert {room_of(p) for p, found in text.items() if found} == {"shell"}
    assert not [p for p in FILES if "ProcessPoolExecutor" in p.read_text()]
    for path in FILES:
        assert not re.search(r"os\.(system|popen|fork|exec|spawn)|shell=True", path.read_text()), path


def test_only_the_worker_loads_llama_cpp() -> None:
    assert {room_of(p) for p in FILES if any(n.split(".")[0] == "llama_cpp" for n in imported(p))} == {"worker"}


def sources() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    return [
        ROOT / n for n in listed.stdout.splitlines() if Path(n).suffix in (".py", ".cpp", ".h") and (ROOT / n).exists()
    ]


def test_no_file_is_longer_than_400_lines() -> None:
    assert {p.name: n for p in sources() if (n := len(p.read_text().splitlines())) > 400} == {}


def test_at_most_15_public_names() -> None:
    code = "import edgeq; print(*[n for n in vars(edgeq) if not n.startswith('_')])"
    names = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert len(names) <= 15, names
    assert edgeq.__version__


COMMANDS = cli.cli.list_commands(click.Context(cli.cli))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented(name: str) -> None:
    command = cli.cli.get_command(click.Context(cli.cli), name)
    assert command is not None
    assert command.name == name
    assert command.help
    for parameter in command.params:
        assert not isinstance(parameter, click.Option) or parameter.help, f"{name}: {parameter.name}"
    assert f"edgeq {name}" in (ROOT / "docs" / "commands.md").read_text()


def test_generated_documents_are_up_to_date() -> None:
    done = subprocess.run([sys.executable, ROOT / "docs" / "generate.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", modules("backends"))
def test_contract_of_backends(name: str, tmp_path: Path) -> None:
    shelf = module("backends", name)
    access = Machine(tmp_path).access()
    for target in (None, "aarch64-linux-gnu"):
        found = shelf.check(access, Profile("x"), toolchain(access, target))
        assert all(note.text and note.hint for note in found.problems)
    assert all(a.startswith("-D") for a in shelf.cmake_args(Profile("x")))
    assert msgspec.convert(shelf.runner_args(Profile("x")) | {"tests": ()}, BenchSettings)
    assert shelf.DEVICE in ("cpu", "accel", "gpu") and shelf.NO_DEVICE and shelf.BYTES_PER_JOB > 0


@pytest.mark.parametrize("name", modules("sensors"))
def test_contract_of_sensors(name: str, tmp_path: Path) -> None:
    from edgeq.errors import MissingError

    with pytest.raises(MissingError) as e:
        module("sensors", name).probe(Machine(tmp_path).access())
    assert e.value.text
    assert e.value.hint
