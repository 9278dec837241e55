"""What `edgeq show` says of every kind of file, and of files that are none or mean harm."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import gguf
import msgspec
import numpy as np
import pytest

from edgeq import store
from edgeq.errors import InputError
from edgeq.records import Build, Bundle, Imatrix, Profile
from edgeq.show import lines, show

from .conftest import HERE, MODEL
from .test_bad_input import refused
from .test_run import edgeq
from .test_verify import small_run

BAD = "evil\x1b[2J\u202etxt\nline"


@pytest.fixture(scope="module")
def run(built: Build, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_run(tmp_path_factory)


def text(path: Path, *, tensors: bool = False) -> str:
    """The page, which must fit a terminal and hold nothing that acts on it."""
    page = lines(show(path, tensors=tensors))
    assert max(map(len, page)) <= 80
    assert all(line.isprintable() and line == line.rstrip() for line in page)
    return "\n".join(page)


def data(path: Path, *, tensors: bool = False) -> Any:
    """What --json prints, decoded."""
    return json.loads(msgspec.json.encode(show(path, tensors=tensors).data))


def test_a_model_by_its_header() -> None:
    shown = text(MODEL)
    for part in (
        "GGUF model",
        "llama",
        "5,246,208",
        "F16",
        "16.08",
        "context length",
        "1024",
        "2,048 values of type str",
    ):
        assert part in shown
    assert "Tensors" not in shown
    listed = text(MODEL, tensors=True)
    assert "blk.0.attn_k.weight" in listed and "256 x 128" in listed
    found = data(MODEL, tensors=True)
    assert found["n_params"] == 5246208 and len(found["tensors"]) == 56
    assert found["metadata"]["tokenizer.ggml.tokens"] == {"type": "str", "count": 2048}


def test_the_records_of_a_run(run: Path) -> None:
    bench = next((run / "records").glob("bench-IQ2*"))
    shown = text(bench)
    for part in ("IQ2_XXS.gguf", "n_batch 2048", "llama.cpp 0c1e57098bba", "pp32", "tg8", "machine", "RSS"):
        assert part in shown
    shown = text(next((run / "records").glob("eval-IQ2*")))
    for part in ("reference", "edgeq-5m-f16.gguf", "philosophy.txt", "510 scored", "KLD mean", "top-1"):
        assert part in shown
    assert "the reference itself" in " ".join(text(next((run / "records").glob("eval-edgeq*"))).split())
    assert "2.5" in text(run / "summary.json") and "KLD nats" in text(run / "summary.json")
    assert "pp32, tg8" in text(run / "run.json")
    assert "as predicted" in text(run / "models" / "IQ2_XXS.json")
    assert "religion.txt" in text(run / "models" / "imatrix.json")
    found = json.loads(edgeq("show", bench, "--json").stdout)  # once as a user does
    assert found["kind"] == "BenchRecord" and found["record"]["model"]["file_type"] == "IQ2_XXS"


@pytest.mark.parametrize(
    "path", sorted((HERE / "golden").glob("schema-*/*.json*")), ids=lambda p: f"{p.parent.name}-{p.name}"
)
def test_records_of_every_version(path: Path) -> None:
    assert text(path)


def test_builds_and_bundles(built: Build, tmp_path: Path) -> None:
    store.save(tmp_path / "build.json", built, "key")
    assert built.key in text(tmp_path / "build.json") and "llama-bench" in text(tmp_path / "build.json")
    made = Bundle(Profile("pi"), built, (), 4096, "2.34", ("libgomp.so.1",))
    store.save(tmp_path / "bundle.json", made, "key")
    assert "2.34 or newer" in text(tmp_path / "bundle.json")
    store.save(tmp_path / "profile.json", Profile("pi", description=BAD), "key")
    assert "evil\\x1b[2J" in text(tmp_path / "profile.json")  # a kind without a page of its own


def test_an_importance_matrix_and_its_record_beside_it(run: Path) -> None:
    shown = text(run / "models" / "imatrix.gguf")
    for part in (
        "religion.txt",
        "2 of 512 tokens",
        "42 weights",
        "all 1,024 tokens",
        "Least used",
        "imatrix.json says",
    ):
        assert part in shown
    found = data(run / "models" / "imatrix.gguf")
    recorded = store.load(run / "models" / "imatrix.json", Imatrix)
    assert (found["datasets"], found["n_chunks"], len(found["entries"])) == (["religion.txt"], 2, recorded.n_entries)


def test_experts_that_were_never_used(tmp_path: Path) -> None:
    path = tmp_path / "moe.gguf"
    writer = gguf.GGUFWriter(path, "")
    writer.kv_data[0].clear()
    writer.add_type("imatrix")
    writer.add_array("imatrix.datasets", [BAD, "second.txt"])
    writer.add_uint32("imatrix.chunk_count", 3)
    writer.add_uint32("imatrix.chunk_size", 16)
    writer.add_tensor("blk.0.exps.weight.in_sum2", np.array([[4, 8], [0, 0], [30, 30]], np.float32))
    writer.add_tensor("blk.0.exps.weight.counts", np.array([[2], [0], [10]], np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    shown = text(path)
    assert "evil\\x1b[2J\\u202etxt\\nline, second.txt" in shown
    assert "1 weights, 3 matrices" in shown and "0 to 10 tokens" in shown and "1 matrices: they are" in shown
    (entry,) = data(path)["entries"]
    assert (entry["least"], entry["most"], entry["n_unused"], entry["mean_square"]) == (0, 10, 1, 3.0)


def legacy(entries: dict[str, list[float]], n_calls: int, tail: bytes) -> bytes:
    data = struct.pack("<i", len(entries))
    for name, values in entries.items():
        data += struct.pack("<i", len(name)) + name.encode() + struct.pack("<ii", n_calls, len(values))
        data += np.array(values, "<f4").tobytes()
    return data + tail


def test_the_form_before_gguf(tmp_path: Path) -> None:
    path = tmp_path / "imatrix.dat"
    tail = struct.pack("<ii", 7, 8) + b"wiki.raw"
    path.write_bytes(legacy({"blk.0.attn_k.weight": [7, 14], "output.weight": [70, 70]}, 7, tail))
    shown = text(path)
    for part in ("wiki.raw", "before GGUF", "2 weights", "all 7 chunks", "output.weight"):
        assert part in shown
    path.write_bytes(legacy({"output.weight": [1.0]}, 1, b""))  # the oldest form ends here
    assert "output.weight" in text(path)
    whole = legacy({"output.weight": [1.0, 2.0]}, 1, tail)
    for n in (3, 10, 30, len(whole) - 1, len(whole) + 1):
        path.write_bytes((whole + b"x")[:n])
        with pytest.raises(InputError, match="no file that edgeq knows"):
            show(path)


def test_a_model_that_means_harm_is_escaped(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    writer = gguf.GGUFWriter(path, BAD)
    writer.add_name(BAD)
    writer.add_string(f"{BAD}.key", "x" * 5000)
    for i in range(300):
        writer.add_uint32(f"k{i}", i)
    writer.add_tensor(f"{BAD}.weight", np.zeros((4, 32), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    shown = text(path, tensors=True)
    assert "evil\\x1b[2J\\u202etxt\\nline" in shown and "more: --json" in shown
    assert data(path)["name"] == BAD


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("page.html", b"<!doctype html>", "no file that edgeq knows"),
        ("empty", b"", "no file that edgeq knows"),
        ("other.json", b'{"a": 1}', "no record of edgeq"),
        ("cut.json.gz", b"\x1f\x8b\x08\x00", "no record of edgeq"),
        ("cut.gguf", b"GGUF\x03\x00", "cut off"),
        ("new.json", b'{"schema": 999, "kind": "Run", "key": "", "record": {}}', "a newer edgeq"),
        ("odd.json", b'{"schema": 1, "kind": "Gguf", "key": "", "record": {"path": 1}}', "does not fit this version"),
    ],
)
def test_what_is_none_of_these_is_one_sentence(tmp_path: Path, name: str, data: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=said) as e:
        show(tmp_path / name)
    assert "\n" not in e.value.text


def test_a_folder_and_a_missing_file_exit_with_3(tmp_path: Path) -> None:
    refused(edgeq("show", tmp_path), 3, "is a folder", "edgeq report")
    with pytest.raises(InputError, match="There is no file"):
        show(tmp_path / "none")
