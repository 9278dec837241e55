"""Room: a folder that runs on a board without a compiler: programs, models, profile, scripts, hashes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from edgeq import manifest, store
from edgeq.bundle.archive import pack
from edgeq.bundle.libraries import Libraries, needed
from edgeq.bundle.scripts import bench_script, readme, run_script
from edgeq.errors import InputError
from edgeq.gguf_info import read_header
from edgeq.records import BenchSettings, Build, Bundle, Gguf, Profile

__all__ = ["bundle"]

# What is of use on the board.
_ROLES = ("server", "completion", "llama-bench", "bench", "evaluate", "generate", "probe")

Update = Callable[[float | None, str], None]


def bundle(
    profile: Profile,
    models: Sequence[Gguf],
    build: Build,
    settings: BenchSettings,
    out: Path,
    *,
    n_ctx: int,
    on_progress: Update = lambda share, text: None,
) -> Bundle:
    """Make the folder ``out`` and beside it ``out.tar.zst``; both get their names when they are complete.

    ``settings``: threads, layers and types that the scripts use; ``n_ctx``: the context that ``run.sh`` asks for. A
    bundle that was there before is replaced; any other folder with something in it is refused (InputError).
    """
    if "linux" not in build.target:
        raise InputError(f"Bundles are for boards that run Linux, not {build.target}.", "Run `edgeq build` on it.")
    _refuse_foreign(out)
    parts = [part for m in models for part in read_header(Path(m.path)).parts]
    if len({p.name for p in parts}) < len(parts):
        raise InputError("Two of the models have the same file name.", "Rename one of them.")
    found = needed(build, tuple(role for role in _ROLES if role in build.tools))
    out = out.resolve()  # a "." has no name to put beside
    temporary, archive = store.partial(out), out.with_name(f"{out.name}.tar.zst")
    shutil.rmtree(temporary, ignore_errors=True)
    store.make_folder(temporary)
    try:
        store.need_space(out.parent, 2 * sum(p.stat().st_size for p in parts) + found.n_bytes, "The bundle")
        record = Bundle(profile, build, tuple(models), n_ctx, found.glibc, tuple(p.name for p in found.system))
        _fill(temporary, record, parts, found, settings, on_progress)
        with store.writing(out):
            archive.unlink(missing_ok=True)  # never an old one beside a new folder
            shutil.rmtree(out, ignore_errors=True)
            temporary.rename(out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    on_progress(None, "packing")
    pack(out, archive)
    return record


def _refuse_foreign(out: Path) -> None:
    if out.exists() and not (out / "bundle.json").exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} is there already and is no bundle.", "Choose another folder (--out).")


def _fill(
    folder: Path, record: Bundle, parts: Sequence[Path], found: Libraries, settings: BenchSettings, on_progress: Update
) -> None:
    for name in ("bin", "models", "licenses"):
        store.make_folder(folder / name)
    with store.writing(folder):
        for path in (*found.programs, *found.ours, *found.system):
            shutil.copy(path, folder / "bin" / path.name)
        done, total = 0, max(1, sum(p.stat().st_size for p in parts))
        for path in parts:
            on_progress(done / total, path.name)
            shutil.copy(path, folder / "models" / path.name)
            done += path.stat().st_size
        shutil.copy(Path(record.build.folder) / "LICENSE.llama.cpp", folder / "licenses/llama.cpp.txt")
        shutil.copy(store.share_dir() / "LICENSE", folder / "licenses/edgeq.txt")
    first = Path(record.models[0].path).name
    store.write_bytes(folder / "profile.yaml", _as_yaml(record.profile))
    store.save(folder / "bundle.json", record, store.key_of(record))
    store.write_text(folder / "README.txt", readme(record))
    for name, text in (("run.sh", run_script(first, record.n_ctx, settings)), ("bench.sh", bench_script(settings))):
        store.write_text(folder / name, text)
        (folder / name).chmod(0o755)
    manifest.write(folder, sorted(p for p in folder.rglob("*") if p.is_file()))


def _as_yaml(profile: Profile) -> bytes:
    """What the profile says; what it leaves out is left out."""
    return msgspec.yaml.encode({k: v for k, v in msgspec.to_builtins(profile).items() if v not in (None, "", [], {})})
