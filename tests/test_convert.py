"""The project's model from its Hugging Face folder, converted for real."""

from __future__ import annotations

import shutil
from pathlib import Path

import gguf
import numpy as np

from edgeq import convert, models

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


def test_code_is_out_of_the_converters_reach(tmp_path: Path) -> None:
    folder = tmp_path / "hf"
    shutil.copytree(HF_FOLDER, folder)
    ran = tmp_path / "ran"
    (folder / "evil.py").write_text(f"open({str(ran)!r}, 'w')")
    config = (folder / "tokenizer_config.json").read_text()
    (folder / "tokenizer_config.json").write_text(
        config.replace("{", '{"auto_map": {"AutoTokenizer": ["evil.Tokenizer", null]},', 1)
    )
    (folder / "evil.py").rename(folder / "evil.py.txt")  # past the first check: only the staging stands in its way
    convert.convert(str(folder), tmp_path / "out")
    assert not ran.exists()


def test_a_gguf_passes_through(tmp_path: Path) -> None:
    assert convert.convert(str(MODEL), tmp_path) == models.describe(MODEL)
    assert not list(tmp_path.iterdir())
