"""Which libraries programs need, as they say themselves: ours, the compiler's run-time, the board's C library."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from edgeq import shell
from edgeq.access import Access
from edgeq.errors import MissingError
from edgeq.records import Build
from edgeq.toolchain import toolchain

# GCC's run-time. A board may have an older one or none; its C library is never replaced.
_RUNTIME = re.compile(r"lib(stdc\+\+|gcc_s|gomp|atomic)\.so\.")
_NEEDED = re.compile(r"\(NEEDED\).*\[(.+)\]")
_GLIBC = re.compile(r"GLIBC_(\d+)\.(\d+)")


@dataclass(frozen=True)
class Libraries:
    """Files to copy. ``glibc``: the oldest C library that has everything the programs call, as 2.34."""

    programs: tuple[Path, ...]
    ours: tuple[Path, ...]
    system: tuple[Path, ...]
    glibc: str

    @property
    def n_bytes(self) -> int:
        """Size of all files."""
        return sum(p.stat().st_size for p in (*self.programs, *self.ours, *self.system))


def needed(build: Build, roles: tuple[str, ...]) -> Libraries:
    """The programs of ``roles`` with all that they load. Raises MissingError where a library can't be found."""
    folder = Path(build.folder) / "bin"
    programs = [Path(build.tool(role)) for role in roles]
    # Backends that are chosen at run time are nobody's dependency; as modules they have no version and no links.
    modules = [p for p in folder.glob("libggml-*.so") if not p.is_symlink()]
    waiting = [*programs, *modules]
    ours: dict[str, Path] = {p.name: p for p in modules}
    system: dict[str, Path] = {}
    chain = toolchain(Access(), build.target)
    seen: set[Path] = set()
    while waiting:
        path = waiting.pop()
        seen.add(path)
        for name in _NEEDED.findall(_readelf("-d", path)):
            if (folder / name).exists():
                ours[name] = folder / name
            elif _RUNTIME.match(name):
                system[name] = _runtime(chain.cxx, name)
            else:
                continue
            found = ours.get(name) or system[name]
            if found not in seen:
                waiting.append(found)
    versions = [(int(a), int(b)) for path in seen for a, b in _GLIBC.findall(_readelf("-V", path))]
    newest = max(versions, default=(0, 0))
    glibc = ".".join(map(str, newest))
    return Libraries(tuple(programs), tuple(sorted(ours.values())), tuple(sorted(system.values())), glibc)


def _runtime(cxx: str, name: str) -> Path:
    said = (shell.output([cxx, f"-print-file-name={name}"]) or "").strip()
    if not Path(said).is_absolute():  # the compiler repeats the name of what it does not find
        raise MissingError(f"The programs need {name}, and {cxx} has none.", "Install the compiler again.")
    return Path(said)


def _readelf(what: str, path: Path) -> str:
    text = shell.output(["readelf", "-W", what, str(path)])
    if text is None:
        raise MissingError("readelf, which tells what programs need, is missing.", "`apt install binutils`.")
    return text
