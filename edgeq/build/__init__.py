"""Room: llama.cpp and our native programs, compiled once for a kind of machine into the user's cache."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from types import ModuleType

import msgspec

from edgeq import plugins, sources, store
from edgeq.access import Access
from edgeq.backends import Check
from edgeq.build.compiling import compile_tree, jobs
from edgeq.build.options import checkout, refuse_unknown_options
from edgeq.build.self_test import self_test
from edgeq.errors import InputError, MissingError
from edgeq.records import Build, Profile
from edgeq.sources import Progress
from edgeq.toolchain import Toolchain, emulator, isa_problem, toolchain, unknown_isa

__all__ = ["LOCAL", "build", "check", "list_builds", "refuse_elsewhere", "remove"]

# This machine's CPU: what all preparing is done with.
LOCAL = Profile("local")
_TOOLS = {
    "quantize": "llama-quantize",
    "imatrix": "llama-imatrix",
    "perplexity": "llama-perplexity",
    "llama-bench": "llama-bench",
    "gguf-split": "llama-gguf-split",
    "completion": "llama-completion",
    "bench": "edgeq-bench",
    "evaluate": "edgeq-evaluate",
    "calibrate": "edgeq-calibrate",
    "fit": "edgeq-fit",
    "generate": "edgeq-generate",
    "probe": "edgeq-probe",
    "score": "edgeq-score",
    "types": "edgeq-types",
    "sensitivity": "edgeq-sensitivity",
    "refine": "libedgeq-refine.so",
}
_SERVER = {"server": "llama-server"}
# While it is being made; the CUDA backend's objects are the largest.
_NEEDED_BYTES = 2_500_000_000


def build(
    profile: Profile = LOCAL,
    *,
    server: bool = False,
    llama_cpp: Path | None = None,
    force: bool = False,
    on_progress: Progress = lambda *_: None,
) -> Build:
    """Compile (or find) llama.cpp and the native programs as ``profile`` says: backend, target, instruction sets.

    ``server``: llama-server as well. ``llama_cpp``: another checkout to build from instead of the pinned tree.
    ``on_progress`` gets a sentence and the share done. What is compiled is tried out before it gets its name. Raises
    InputError for a tree or option that can't be used, MissingError where something is missing (the hint says what
    brings it), ToolError with the log where compiling or the trial fails.
    """
    access = Access(profile=profile)
    profile, chain, found = _examined(access, profile)
    if found.problems:
        raise MissingError(found.problems[0].text, found.problems[0].hint)
    tree, commit = checkout(llama_cpp) if llama_cpp else sources.pinned(on_progress)
    shelf = plugins.module("backends", profile.backend)
    args = (*shelf.cmake_args(profile), *profile.cmake_args, *chain.cmake_args())
    refuse_unknown_options(tree, args)
    native = store.sha256_tree(store.share_dir(), ("CMakeLists.txt", "native"))
    tools = {**_TOOLS, **(_SERVER if server else {})}
    key = store.key_of("build", commit, profile.backend, chain.target, args, found.versions, native, sorted(tools))[:16]
    folder = store.cache_dir() / "builds" / key
    wanted = Build(
        key=key,
        backend=profile.backend,
        target=chain.target,
        llama_commit=commit,
        cmake_args=args,
        compiler=chain.version or "",
        folder=str(folder),
        tools={role: str(folder / "bin" / name) for role, name in tools.items()},
        sha256={},
        seconds=0.0,
        isa=profile.isa,
        versions=found.versions,
    )
    before = emulator(access, chain, profile) if chain.cross else ()
    if not force and (done := _finished(wanted, before)):
        return done
    with store.wait_lock(_work(wanted)):
        return (not force and _finished(wanted, before)) or _make(wanted, tree, shelf, before, force, on_progress)


def check(access: Access, profile: Profile) -> Check:
    """Whether this machine can build what ``profile`` asks for: versions found, and problems with what solves them."""
    return _examined(access, profile)[2]


def refuse_elsewhere(profile: Profile, access: Access) -> None:
    """Raise InputError where what ``profile`` describes runs other programs than this machine: nothing to measure."""
    chain = toolchain(access, profile.target)
    if chain.cross:
        raise InputError(
            f"{profile.name} runs programs for {chain.target}, and this machine is {chain.host}.",
            f"Measure on the board itself; `edgeq bundle --profile {profile.name} MODEL` makes a folder for it.",
        )


def list_builds() -> list[Build]:
    """All finished builds in the cache, the newest first."""
    records = sorted((store.cache_dir() / "builds").glob("*/build.json"), key=lambda p: -p.stat().st_mtime)
    return [found for path in records if (found := store.try_load(path, Build))]


def remove(key: str) -> Build:
    """Delete the build whose key begins with ``key``, and the compiled objects if no other build is made from them.

    Raises InputError where not just one build's key begins so.
    """
    builds = list_builds()
    found = [b for b in builds if b.key.startswith(key)]
    if len(found) != 1:
        what = f"{len(found)} builds begin" if found else "No build begins"
        raise InputError(f"{what} with {key}.", "`edgeq build --list` shows them.")
    folder, work = Path(found[0].folder), _work(found[0])
    # Renamed first: whatever happens meanwhile, no half-deleted build has a build's name.
    doomed = store.partial(folder)
    shutil.rmtree(doomed, ignore_errors=True)
    with store.writing(folder):
        folder.rename(doomed)
        shutil.rmtree(doomed)
    folder.with_suffix(".log").unlink(missing_ok=True)
    if work not in [_work(b) for b in builds if b is not found[0]]:
        shutil.rmtree(work, ignore_errors=True)
    return found[0]


def _work(b: Build) -> Path:
    """Where it is compiled. The objects stay: with the server, or newer native programs, only the rest is compiled."""
    key = store.key_of(b.llama_commit, b.backend, b.target, b.cmake_args, b.versions, str(store.share_dir()))
    return store.cache_dir() / "work" / key[:16]


def _make(
    wanted: Build,
    tree: Path,
    shelf: ModuleType,
    before: tuple[str, ...] | None,
    force: bool,
    on_progress: Progress,
) -> Build:
    """Compile, try out, install; ``before``: what runs programs of another machine here."""
    started, work = time.monotonic(), _work(wanted)
    store.need_space(work, _NEEDED_BYTES, "Compiling llama.cpp", "Set EDGEQ_CACHE to a folder with more room.")
    log = store.make_folder(Path(wanted.folder).parent) / f"{wanted.key}.log"
    log.unlink(missing_ok=True)
    if force:
        shutil.rmtree(work / "tree", ignore_errors=True)
    targets = ["edgeq-all", *(_SERVER[role] for role in wanted.tools if role in _SERVER)]
    compile_tree(tree, work / "tree", wanted.cmake_args, targets, jobs(shelf.BYTES_PER_JOB), log, on_progress)
    made = work / "tree" / "bin"
    on_progress("trying it out", None)
    tried = self_test(made, before, shelf, log)
    done = msgspec.structs.replace(
        wanted, sha256=_sums(made, wanted), seconds=round(time.monotonic() - started, 1), self_test=tried
    )
    _install(tree, made, done)
    return done


def _examined(access: Access, profile: Profile) -> tuple[Profile, Toolchain, Check]:
    """(the profile with what follows from its target, the compiler for it, what is there and missing)."""
    chain = toolchain(access, profile.target)
    profile = _settled(profile, chain)
    if problem := isa_problem(profile.isa, chain.target):
        raise InputError(f"This can't be built: {problem}.", "Choose another --isa or --target.")
    if problems := chain.problems():
        return profile, chain, Check({}, tuple(problems))
    if note := unknown_isa(access, chain, profile.isa):
        return profile, chain, Check({}, (note,))
    found: Check = plugins.module("backends", profile.backend).check(access, profile, chain)
    return profile, chain, Check({"compiler": chain.version or "", **found.versions}, found.problems)


def _settled(profile: Profile, chain: Toolchain) -> Profile:
    """What is native here is not there: another machine of unknown kind gets what all of its kind have."""
    isa = "baseline" if chain.cross and profile.isa == "native" else profile.isa
    return msgspec.structs.replace(profile, target=chain.target, isa=isa)


def _finished(wanted: Build, before: tuple[str, ...] | None) -> Build | None:
    """The build, unless something of it is gone, or it was never tried out and now can be."""
    found = store.find(Path(wanted.folder) / "build.json", Build, wanted.key)
    if found is None or not all(Path(tool).exists() for tool in found.tools.values()):
        return None
    skipped = found.self_test is not None and found.self_test.skipped
    return None if skipped and before is not None else found


def _sums(made: Path, b: Build) -> dict[str, str]:
    """SHA-256 of each tool by its role, and of each other library by its file name."""
    tools = {role: made / Path(tool).name for role, tool in b.tools.items()}
    libraries = sorted(p for p in made.iterdir() if ".so" in p.name or p.suffix == ".dylib")
    libraries = [p for p in libraries if p not in tools.values()]
    return {
        **{role: store.sha256_file(path) for role, path in tools.items()},
        **{p.name: store.sha256_file(p) for p in libraries if not p.is_symlink()},
    }


def _install(tree: Path, made: Path, done: Build) -> None:
    """Copy programs and libraries beside the final place, then rename: a folder with this name is complete."""
    folder = Path(done.folder)
    temporary = store.partial(folder)
    shutil.rmtree(temporary, ignore_errors=True)
    left_out = () if "server" in done.tools else ("llama-server*", "libllama-server*", "libmtmd*")
    with store.writing(folder):
        shutil.copytree(made, temporary / "bin", symlinks=True, ignore=shutil.ignore_patterns(*left_out))
        shutil.copy(tree / "LICENSE", temporary / "LICENSE.llama.cpp")
        store.save(temporary / "build.json", done, done.key)
        shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)
