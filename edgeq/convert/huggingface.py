"""A Hugging Face folder to an F16, BF16 or F32 GGUF, through the pinned tree's own converter.

The converter needs PyTorch and transformers: they live in an environment of their own in the user's cache, made on
first use, so that edgeq itself stays small.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import msgspec

from edgeq import converter, models, store
from edgeq.errors import InputError
from edgeq.records import Gguf, Source

# What the converter needs to read, and nothing that could be run: no Python files, no pickled weights.
_DATA = (".json", ".safetensors", ".model", ".txt", ".tiktoken", ".jinja", ".spm", ".md")


def convert_folder(
    model: Path,
    folder: Path,
    outtype: str,
    trust: bool,
    repo: tuple[str, str] | None,
    on_progress: Callable[[str], None],
) -> Gguf:
    """``folder/TYPE.gguf`` of a Hugging Face folder. ``repo``: the repository and revision that it came from.

    Raises InputError for a folder that is no model, and for a model that brings its own code unless ``trust``.
    """
    config = _check(model, trust)
    dtype = str(config.get("torch_dtype") or config.get("dtype") or "")
    outtype = outtype if outtype != "auto" else ("bf16" if dtype == "bfloat16" else "f16")
    out = folder / f"{outtype.upper()}.gguf"
    files = [p for p in sorted(model.iterdir()) if p.suffix in _DATA or (trust and p.suffix == ".py")]
    key = store.key_of("convert", [(p.name, store.sha256_file(p)) for p in files], outtype, converter.key())
    if (found := store.find(out.with_suffix(".json"), Gguf, key)) and out.exists():
        return found
    store.make_folder(folder)
    weights = sum(p.stat().st_size for p in files if p.suffix == ".safetensors")
    store.need_space(folder, weights, "Converting the model")
    temporary = store.partial(out)
    name = repo[0].split("/")[1] if repo else model.resolve().name
    with store.scratch() as scratch, store.removing(temporary):
        staged = store.make_folder(scratch / name)  # the model's name where its card gives none
        for p in files:
            (staged / p.name).symlink_to(p.resolve())
        on_progress(f"converting {name} to {outtype.upper()}")
        converter.run(staged, temporary, outtype, on_progress)
        models.describe(temporary)  # refuses a damaged header before the file gets its name
        store.publish(temporary, out)
    record = models.describe(out)
    source = Source(
        repo=repo[0] if repo else name,
        revision=repo[1] if repo else None,
        arch=record.arch,
        n_params=record.n_params,
        license=_license(model),
    )
    record = msgspec.structs.replace(record, source=source)
    store.save(out.with_suffix(".json"), record, key)
    return record


def _check(model: Path, trust: bool) -> dict[str, object]:
    try:
        config = msgspec.json.decode((model / "config.json").read_bytes(), type=dict[str, object])
    except FileNotFoundError:
        raise InputError(f"{model} is not a model: it has no config.json.", "Give a Hugging Face folder.") from None
    except (msgspec.DecodeError, OSError) as e:
        raise InputError(f"{model / 'config.json'} can't be read: {e}.") from None
    if not any(model.glob("*.safetensors")):
        raise InputError(
            f"{model} has no *.safetensors: weights in other forms (pickle) can run code when they are opened.",
            "Save the model with safetensors.",
        )
    brings_code = "auto_map" in config or any(model.glob("*.py"))
    if brings_code and not trust:
        raise InputError(
            f"{model.name} brings Python code of its own, which converting it may run.",
            "Read that code, then use --trust-remote-code.",
        )
    return config


def _license(model: Path) -> str | None:
    card = model / "README.md"
    m = re.search(r"^license: *([\w.-]+)", card.read_text("utf-8", "replace"), re.M) if card.exists() else None
    return m[1] if m else None
