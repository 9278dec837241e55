"""Whatever the user names as a model, as a GGUF to quantize from."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from edgeq import converter, models
from edgeq.convert.huggingface import convert_folder
from edgeq.convert.rewrite import rewrite
from edgeq.errors import InputError
from edgeq.records import Gguf

_REPO = re.compile(r"[\w.-]+/[\w.-]+")


def convert(
    source: str,
    folder: Path,
    *,
    outtype: str = "auto",
    regrid: bool = False,
    pad_rows: int | None = None,
    allow_requantize: bool = False,
    trust_remote_code: bool = False,
    on_progress: Callable[[str], None] = lambda _: None,
    on_share: Callable[[float], None] = lambda _: None,
) -> Gguf:
    """A GGUF to quantize from: ``source`` itself if it is one, else the converted model in ``folder``.

    With ``regrid`` or ``pad_rows`` (rows become multiples of it), a file that computes the same, also in ``folder``.
    Raises InputError for a model that is quantized already (unless ``regrid`` or ``allow_requantize``), for a folder
    that is no model, for a model that brings its own code (unless ``trust_remote_code``), and for one whose graph is
    not covered where it is to be rewritten.
    """
    model = _converted(source, folder, outtype, trust_remote_code, on_progress)
    if model is None:
        model = models.describe(Path(source))
        _check_unquantized(model, accepted=regrid or allow_requantize)
    if regrid or pad_rows:
        return rewrite(
            model,
            folder,
            outtype=outtype,
            regridded=regrid,
            pad_rows=pad_rows,
            on_progress=on_progress,
            on_share=on_share,
        )
    return model


def _converted(source: str, folder: Path, outtype: str, trust: bool, on_progress: Callable[[str], None]) -> Gguf | None:
    """None for what is neither a folder nor the name of a repository."""
    path = Path(source)
    if path.is_dir():
        return convert_folder(path, folder, outtype, trust, None, on_progress)
    if not path.exists() and _REPO.fullmatch(source) and path.suffix != ".gguf":
        on_progress(f"downloading {source}")
        snapshot, revision = converter.download(source, on_progress)
        return convert_folder(snapshot, folder, outtype, trust, (source, revision), on_progress)
    return None


def _check_unquantized(model: Gguf, *, accepted: bool) -> None:
    if models.is_quantized(model) and not accepted:
        raise InputError(
            f"{Path(model.path).name} is quantized already ({model.file_type}): what is made from it loses quality "
            "twice, and can't be compared fairly.",
            "Give the F16 or BF16 model, take its weights off their grid with `edgeq convert --regrid`, or use "
            "--allow-requantize to go on all the same.",
        )
