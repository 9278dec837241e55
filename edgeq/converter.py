"""The converter's own environment in the user's cache: PyTorch for the CPU, transformers, the pinned tree's script.

Training runs there as well.
"""

from __future__ import annotations

import platform
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from edgeq import shell, sources, store
from edgeq.errors import MissingError, ToolError

_TORCH = "2.13.0"
# As the pinned tree's requirements say, with a newer PyTorch.
_PACKAGES = ("numpy~=2.2", "sentencepiece>=0.1.98,<0.3.0", "transformers==4.57.6", "protobuf>=4.21,<5")
_DOWNLOAD = "about 250 MB"


def key() -> str:
    """Changes when a conversion could give another file."""
    return store.key_of(sources.PINNED, _TORCH, _PACKAGES)[:16]


def ready() -> bool:
    """Whether the environment has been made."""
    return _python().exists()


def run(model: Path, out: Path, outtype: str, on_progress: Callable[[str], None]) -> None:
    """Convert a Hugging Face folder to ``out``. Nothing is downloaded; only what lies in the folder is read."""
    tree = sources.pinned()[0]
    log = store.make_folder(store.cache_dir() / "logs") / "convert.log"
    log.unlink(missing_ok=True)
    argv = [str(_environment(on_progress)), str(tree / "convert_hf_to_gguf.py"), str(model), "--outfile", str(out)]
    try:
        shell.run(
            [*argv, "--outtype", outtype],
            what="converting",
            log=log,
            env={"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""},
        )
    except ToolError as e:
        reason = next((x for x in reversed(e.tail.splitlines()) if re.match(r"\w+(Error|Exception)\b", x)), "")
        raise ToolError(
            f"Converting failed: {reason or e.text}", e.hint, status=e.status, tail=e.tail, log=e.log
        ) from None


def download(repo: str, on_progress: Callable[[str], None]) -> tuple[Path, str]:
    """Fetch a model repository's data files into the cache. Returns its folder and revision."""
    folder = store.cache_dir() / "models" / repo.replace("/", "--")
    log = store.make_folder(store.cache_dir() / "logs") / "download.log"
    log.unlink(missing_ok=True)
    code = (
        "import sys, huggingface_hub as h; r = h.model_info(sys.argv[1]).sha; "
        "h.snapshot_download(sys.argv[1], revision=r, local_dir=sys.argv[2], "
        "ignore_patterns=['*.bin', '*.pt', '*.pth', '*.gguf', '*.h5', '*.msgpack', '*.onnx']); "
        "open(sys.argv[3], 'w').write(r)"
    )
    python = _environment(on_progress)
    try:
        store.make_folder(folder)
        revision = folder.parent / f"{folder.name}.revision"
        shell.run([str(python), "-c", code, repo, str(folder), str(revision)], what=f"downloading {repo}", log=log)
    except ToolError as e:
        # The last line of a Python traceback: package.SomeError: ...
        reason = e.tail.splitlines()[-1].split(":")[0].rpartition(".")[2] if e.tail else e.text
        raise MissingError(
            f"{repo} can't be downloaded ({reason}).",
            f"Check the name and the network, or give a folder with the model. The log is {log}.",
        ) from None
    return folder, revision.read_text()


def train(
    script: Path, folder: Path, on_event: Callable[[shell.Event], None], on_progress: Callable[[str], None]
) -> None:
    """Run a training script of edgeq's own on ``folder``, which has its request and gets its results.

    Raises MissingError where there is no PyTorch for this machine, or none can be downloaded.
    """
    try:
        python = _environment(on_progress)
    except ToolError as e:
        raise MissingError(
            "The environment with PyTorch, which training needs, can't be made here.",
            f"Check the network, and whether there is a PyTorch for this machine. The log is {e.log}.",
        ) from None
    log = store.make_folder(store.cache_dir() / "logs") / "train.log"
    log.unlink(missing_ok=True)
    events = folder / "events.jsonl"
    shell.run(
        [str(python), str(script), str(folder), "--events", str(events)],
        what="training",
        log=log,
        # Threads that wait for each other while spinning take the cores from those that they wait for.
        env={"CUDA_VISIBLE_DEVICES": "", "OMP_WAIT_POLICY": "PASSIVE"},
        events=events,
        on_event=on_event,
    )


def _python() -> Path:
    return store.cache_dir() / "converter" / key() / "bin" / "python"


def _environment(on_progress: Callable[[str], None]) -> Path:
    """The environment's Python, made on first use."""
    python = _python()
    top = python.parent.parent
    with store.wait_lock(top.parent):
        if python.exists():
            return python
        on_progress(
            f"making the converter's environment, once (PyTorch for the CPU and transformers: {_DOWNLOAD} to download)"
        )
        temporary = store.partial(top)
        shutil.rmtree(temporary, ignore_errors=True)
        log = store.make_folder(store.cache_dir() / "logs") / "converter.log"
        log.unlink(missing_ok=True)
        shell.run([sys.executable, "-m", "venv", str(temporary)], what="making the environment", log=log)
        _install(temporary / "bin" / "python", log)
        temporary.rename(top)
    return python


def _install(python: Path, log: Path) -> None:
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    what = "installing the converter's packages"
    if platform.system() == "Linux" and platform.machine() == "x86_64":
        # The plain wheel for this platform brings gigabytes of CUDA. A build for the CPU is marked +cpu; where the
        # user's own index has none, the index that the pinned tree's requirements name does.
        torch = f"torch=={_TORCH}+cpu"
        try:
            shell.run([*pip, torch, *_PACKAGES], what=what, log=log)
            return
        except ToolError:
            requirements = (sources.pinned()[0] / "requirements/requirements-convert_hf_to_gguf.txt").read_text()
            pip += re.findall(r"^--extra-index-url \S+", requirements, re.M)[0].split()
    else:
        torch = f"torch=={_TORCH}"
    shell.run([*pip, torch, *_PACKAGES], what=what, log=log)
