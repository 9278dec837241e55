"""The project's model from its Hugging Face folder, converted for real."""

from __future__ import annotations

import shutil
from pathlib import Path

import gguf
import numpy as np
import pytest

from edgeq import convert, converter, models
from edgeq.convert import huggingface

from .conftest import HF_FOLDER, MODEL


def test_the_converted_folder_equals_the_file_in_the_repository(tmp_path: Path) -> None:
    made = convert.convert(str(HF_FOLDER), tmp_path)
    ours, theirs = gguf.GGUFReader(made.path), gguf.GGUFReader(MODEL)
    assert [t.name for t in ours.tensors] == [t.name for t in theirs.tensors]
    for a, b in zip(ours.tensors, theirs.tensors, strict=True):
        assert a.tensor_type == b.tensor_type
        np.testing.assert_array_equal(a.data, b.data, err_msg=a.name)
    assert (made.name, made.file_type) == ("edgeq 5M", "F16")
    assert made.source is not None and made.source.license == "mit"
    assert convert.convert(str(HF_FOLDER), tmp_path) == made


def test_a_folder_is_converted_before_it_is_regridded(tmp_path: Path) -> None:
    made = convert.convert(str(HF_FOLDER), tmp_path, outtype="f32", regrid=True)
    assert {p.name for p in tmp_path.glob("*.gguf")} == {"F32.gguf", "hf-regrid-F32.gguf"}
    assert (Path(made.path).name, made.tensor_types) == ("hf-regrid-F32.gguf", {"F32": made.n_params})
    assert made.source is not None and made.source.license == "mit"


@pytest.mark.parametrize("trusted", [False, True])
def test_only_trusted_code_is_in_the_converters_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusted: bool
) -> None:
    folder = tmp_path / "hf"
    shutil.copytree(HF_FOLDER, folder)
    (folder / "evil.py").write_text("raise SystemExit")
    (folder / "weights.bin").write_bytes(b"pickle")
    seen: set[str] = set()

    def converter_run(model: Path, out: Path, outtype: str, on_progress: object) -> None:
        seen.update(p.name for p in model.iterdir())
        shutil.copy(MODEL, out)

    # The converter loads tokenizers with trust_remote_code: what is staged is all that stands in its way.
    monkeypatch.setattr(converter, "run", converter_run)
    monkeypatch.setattr(huggingface, "_check", lambda model, trust: {})
    convert.convert(str(folder), tmp_path / "out", trust_remote_code=trusted)
    assert {"config.json", "model.safetensors", "tokenizer.model"} <= seen
    assert ("evil.py" in seen) == trusted
    assert "weights.bin" not in seen


def test_a_gguf_passes_through(tmp_path: Path) -> None:
    assert convert.convert(str(MODEL), tmp_path) == models.describe(MODEL)
    assert not list(tmp_path.iterdir())
