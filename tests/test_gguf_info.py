"""What gguf_info promises: a sentence for every bad file, true headers, and sizes exact to the byte."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

import gguf
import numpy as np
import pytest

from edgeq.errors import InputError
from edgeq.gguf_info import (
    ArrayValue,
    Header,
    TensorInfo,
    on_label,
    predict_file_bytes,
    promised_type,
    read_header,
    safe,
)

Scalar = int | float | bool | str


# --- files made byte by byte ---------------------------------------------------------------------------------


def text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


def pair(key: bytes, form: str, *values: object) -> bytes:
    return text(key) + struct.pack("<" + form, *values)


def entry(name: bytes = b"a.weight", shape: tuple[int, ...] = (8,), kind: int = 0, offset: int = 0) -> bytes:
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


def model(pairs: tuple[bytes, ...] = (), entries: tuple[bytes, ...] = (), n_data: int = 0, version: int = 3) -> bytes:
    head = b"GGUF" + struct.pack("<IQQ", version, len(entries), len(pairs)) + b"".join(pairs) + b"".join(entries)
    return head + bytes(-len(head) % 32) + bytes(n_data)


def refusal(path: Path) -> str:
    """The sentence with which the file is refused."""
    with pytest.raises(InputError) as caught:
        read_header(path)
    assert caught.value.hint
    return caught.value.text


def as_id(value: bytes | str) -> str:
    return value if isinstance(value, str) else "file"


def refused(folder: Path, data: bytes) -> str:
    path = folder / "m.gguf"
    path.write_bytes(data)
    sentence = refusal(path)
    assert sentence.startswith(f"{path} ") and sentence.endswith(".") and sentence.isprintable()
    return sentence.removeprefix(f"{path} ")


# --- what is no GGUF file ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "is empty (0 bytes)."),
        (b"GG", "is cut off in its header or damaged: the magic takes 4 bytes from byte 0 on, and the file ends at"),
        (b"GGUF\3\0", "is cut off in its header or damaged: the version takes 4 bytes"),
        (b"PK\3\4" + bytes(60), "is not a GGUF file: it is a ZIP archive, as PyTorch's checkpoints are."),
        (b"\x80\2}q" + bytes(60), "is not a GGUF file: it is a Python pickle"),
        (b"\x1f\x8b\x08\0" + bytes(60), "is not a GGUF file: it is compressed with gzip."),
        (b"\x40\0\0\0\0\0\0\0" + b'{"a":' + bytes(60), "is not a GGUF file: it is a safetensors file."),
        (b"\n<!DOCTYPE HTML><html>", "is not a GGUF file: it is an HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is not a GGUF file: it is a Git LFS pointer"),
        (b"tjgg\3\0\0\0" + bytes(60), "is not a GGUF file: it has the format that preceded GGUF (GGJT)."),
        (b"\x1b[2J" + bytes(60), "is not a GGUF file: it starts with '\\x1b[2J' instead of 'GGUF'."),
        (b"GGUF\0\0\0\3" + bytes(60), "is a big-endian GGUF file"),
        (model(version=1), "is a GGUF file of version 1, which llama.cpp no longer reads."),
        (model(version=4), "is damaged: its version is 4, and only 2 and 3 exist."),
        (model(version=0), "is damaged: its version is 0, and only 2 and 3 exist."),
    ],
    ids=as_id,
)  # fmt: skip
def test_other_files_are_recognized(tmp_path: Path, data: bytes, sentence: str) -> None:
    assert refused(tmp_path, data).startswith(sentence)


def test_paths_without_a_file(tmp_path: Path) -> None:
    assert refusal(tmp_path / "m.gguf") == f"{tmp_path / 'm.gguf'} does not exist."
    assert refusal(tmp_path) == f"{tmp_path} is a folder, not a GGUF file."
    assert refusal(Path("/dev/null")) == "/dev/null is not a regular file."
    assert refusal(tmp_path / "a\0b") == f"{tmp_path}/a\\x00b can't be the name of a file."
    assert refusal(tmp_path / ("x" * 300)).endswith("can't be read: File name too long.")


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(*_args: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "m.gguf"
    path.write_bytes(model())
    monkeypatch.setattr(Path, "open", locked)
    assert refusal(path) == f"{path} may not be read by this user."


# --- headers that lie ----------------------------------------------------------------------------------------

PAIR = pair(b"k", "IB", 0, 1)
BIG = 2**63 - 1


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"GGUF" + struct.pack("<IQQ", 3, 2**60, 0), "its header says 1,152,921,504,606,846,976 tensors, and the"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 2**64 - 1), "its header says 18,446,744,073,709,551,615 key-value pairs"),
        (model((PAIR, PAIR)), "it has the key 'k' twice."),
        (model((pair(b"", "IB", 0, 1),)), "key-value pair 1 has an empty key."),
        (model((pair(b"a\0b", "IB", 0, 1),)), "key-value pair 1 has a NUL character in its name 'a\\x00b'."),
        (model((pair(b"\xff", "IB", 0, 1),)), "key-value pair 1 has a name that is not UTF-8."),
        (model((pair(b"k" * 65536, "IB", 0, 1),)), "key-value pair 1 has a string of 65,536 bytes, and 65,535"),
        (model((pair(b"k", "IB", 13, 1),)), "the value of 'k' has the type number 13, and the types are 0 to 12."),
        (model((pair(b"k", "IIQ", 9, 9, 0),)), "the value of 'k' is an array of arrays"),
        (model((pair(b"k", "IIQ", 9, 13, 0),)), "the value of 'k' has the type number 13"),
        (model((pair(b"k", "IQ", 8, 2**40),)), "the value of 'k' has a string of 1,099,511,627,776 bytes"),
        (model((pair(b"k", "IIQ", 9, 8, 2**60),)), "the value of 'k' brings the strings in arrays to 1,152,921,"),
        (model((pair(b"general.alignment", "II", 4, 48),)), "general.alignment is 48, not a power of two"),
        (model((pair(b"general.alignment", "II", 4, 0),)), "general.alignment is 0, not a power of two"),
        (model((pair(b"general.alignment", "II", 4, 2**31),)), "general.alignment is 2,147,483,648, not a power"),
        (model((pair(b"general.alignment", "IQ", 10, 32),)), "general.alignment has the type u64, not u32."),
        (model((), (entry(), entry(offset=32)), 64), "it has two tensors named 'a.weight'."),
        (model((), (entry(b"n" * 64),), 32), "the entry of tensor 1 has a string of 64 bytes, and 63 is the limit."),
        (model((), (entry(b"a\0"),), 32), "the entry of tensor 1 has a NUL character in its name"),
        (model((), (entry(shape=()),), 32), "tensor 'a.weight' has 0 dimensions, and 1 to 4 are allowed."),
        (model((), (entry(shape=(1,) * 5),), 32), "tensor 'a.weight' has 5 dimensions"),
        (model((), (entry(shape=(0, 4)),), 32), "tensor 'a.weight' has a dimension of 0."),
        (model((), (entry(shape=(2**32, 2**32)),), 32), "tensor 'a.weight' has the shape [4294967296, 4294967296]"),
        (model((), (entry(shape=(BIG,)),), 32), "tensor 'a.weight' has the shape [9223372036854775807]"),
        (model((), (entry(kind=31),), 32), "tensor 'a.weight' has the type number 31, which llama.cpp does not have."),
        (model((), (entry(kind=43),), 32), "tensor 'a.weight' has the type number 43"),
        (model((), (entry(shape=(33,), kind=2),), 32), "tensor 'a.weight' has rows of 33, not a multiple of Q4_0's"),
        (model((), (entry(offset=4),), 99), "tensor 'a.weight' starts at byte 4 of the data, not a multiple"),
        (model((), (entry(offset=64),), 99), "tensor 'a.weight' starts at byte 64 of the data, which leaves a gap"),
        (model((), (entry(shape=(16,)), entry(b"b", offset=32)), 99), "tensor 'b' starts at byte 32 of the data, wh"),
    ],
    ids=as_id,
)  # fmt: skip
def test_lies_are_named(tmp_path: Path, data: bytes, sentence: str) -> None:
    assert refused(tmp_path, data).removeprefix("is damaged: ").startswith(sentence)


@pytest.mark.parametrize("n_missing", [1, 31, 32])
def test_a_short_file_says_how_short(tmp_path: Path, n_missing: int) -> None:
    data = model((), (entry(),), 32)[:-n_missing]
    assert refused(tmp_path, data) == f"is cut off: it is {n_missing} bytes shorter than its header says."


def test_escapes_in_names_do_not_reach_the_terminal(tmp_path: Path) -> None:
    sentence = refused(tmp_path, model((), (entry("\x1b[2J\u202e\n".encode(), kind=99),), 32))
    assert "tensor '\\x1b[2J\\u202e\\n' has the type number 99" in sentence


# --- what must be accepted -----------------------------------------------------------------------------------


def read(folder: Path, data: bytes) -> Header:
    path = folder / "m.gguf"
    path.write_bytes(data)
    return read_header(path)


def test_values_of_all_types_and_empty_arrays(tmp_path: Path) -> None:
    forms = ("B", "b", "H", "h", "I", "i", "f", "?", "", "", "Q", "q", "d")
    pairs = [pair(b"k%d" % kind, "I" + form, kind, 1) for kind, form in enumerate(forms) if form]
    pairs += [pair(b"e%d" % kind, "IIQ", 9, kind, 0) for kind in range(13) if kind != 9]
    pairs += [text(b"s") + struct.pack("<I", 8) + text(b"a\xffb\0c"), pair(b"b", "IIQBB", 9, 7, 2, 0, 2)]
    header = read(tmp_path, model(tuple(pairs), version=2))
    assert (header.version, header.alignment, header.tensors) == (2, 32, ())
    assert [header.metadata[f"k{kind}"] for kind, form in enumerate(forms) if form] == [1] * 11
    assert header.metadata["k7"] is True
    assert header.metadata["e8"] == ArrayValue("str", 0) and header.metadata["b"] == ArrayValue("bool", 2)
    assert header.metadata["s"] == "a\\xffb\0c"
    assert list(header.kv_bytes.values()) == [len(encoded) for encoded in pairs]
    assert header.kv_types["k10"] == "u64" and header.kv_types["e0"] == "arr"


def test_a_last_tensor_without_padding_and_a_type_that_gguf_does_not_know(tmp_path: Path) -> None:
    header = read(tmp_path, model((), (entry(shape=(64,), kind=42),), 18))
    assert (header.tensors[0].type, header.tensors[0].n_bytes) == ("Q2_0", 18)


# --- models written by the gguf package ----------------------------------------------------------------------

SHAPES = {
    "token_embd.weight": (96, 64),
    "blk.0.attn_norm.weight": (64,),
    "blk.0.attn_q.weight": (64, 64),
    "blk.0.ffn_up.weight": (3, 32, 64),
    "blk.0.bias": (64,),
}
F16 = dict.fromkeys(SHAPES, "F16")
MIXED = {**F16, "token_embd.weight": "Q8_0", "blk.0.attn_q.weight": "Q4_0", "blk.0.ffn_up.weight": "Q4_0"}


def write(path: Path, types: Mapping[str, str], changes: Mapping[str, Scalar], **split: int) -> Path:
    writer = gguf.GGUFWriter(path, "llama", **split)
    writer.add_name(str(changes.get("general.name", "A small model")))
    writer.add_block_count(1)
    writer.add_token_list(["<s>", "é", "long token"])
    writer.add_array("empty", [1.0])
    adders = {bool: writer.add_bool, int: writer.add_uint32, float: writer.add_float32, str: writer.add_string}
    for key, value in changes.items():
        if key != "general.name":
            adders[type(value)](key, value)
    for name, shape in SHAPES.items():
        kind = gguf.GGMLQuantizationType[types[name]]
        values = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
        writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_the_header_of_a_model(tmp_path: Path) -> None:
    path = write(tmp_path / "m.gguf", MIXED, {"general.file_type": 2})
    header, reference = read_header(path), gguf.GGUFReader(path)
    assert (header.arch, header.name, header.n_layers, header.file_type) == ("llama", "A small model", 1, 2)
    assert header.n_params == 96 * 64 + 64 + 64 * 64 + 3 * 32 * 64 + 64
    assert header.tensor_types == {"Q8_0": 6144, "F16": 128, "Q4_0": 10240}
    assert header.metadata["tokenizer.ggml.tokens"] == ArrayValue("str", 3)
    assert header.n_file_bytes == path.stat().st_size and header.parts == (path,)
    assert header.data_offset == reference.data_offset
    for tensor, expected in zip(header.tensors, reference.tensors, strict=True):
        assert (tensor.name, tensor.n_bytes, tensor.offset) == (expected.name, expected.n_bytes, expected.data_offset)
        assert tensor.shape == tuple(int(n) for n in expected.shape)


def test_a_model_without_metadata_has_no_name(tmp_path: Path) -> None:
    header = read(tmp_path, model())
    assert (header.arch, header.name, header.n_layers, header.file_type) == ("", "", None, None)


def test_predicted_size_is_exact(tmp_path: Path) -> None:
    source = read_header(write(tmp_path / "a.gguf", F16, {"split.no": 7}))
    made: dict[str, Scalar] = {"general.quantization_version": 2, "general.file_type": 2}
    changes: dict[str, Scalar] = {"general.name": "Othér", "n": 3, "x": 0.5, "yes": True, "note": "a text"}
    copy = write(tmp_path / "b.gguf", MIXED, made)
    changed = write(tmp_path / "c.gguf", MIXED, made | changes)
    assert predict_file_bytes(source, MIXED) == copy.stat().st_size
    assert predict_file_bytes(source, MIXED, changes) == changed.stat().st_size
    assert predict_file_bytes(read_header(copy), {}, {}) == copy.stat().st_size


def test_predicted_size_where_a_copy_loses_bytes(tmp_path: Path) -> None:
    """A shape's trailing ones are dropped (ggml_n_dims)."""
    name, version = b"general.file_type", b"general.quantization_version"
    known = (pair(name, "II", 4, 0), pair(version, "II", 4, 2))
    tall, flat = ((entry(shape=shape), entry(b"b", shape, offset=32)) for shape in ((8, 1, 1, 1), (8,)))
    copy, source = model(known, flat, 64), model(known, tall, 64)
    assert len(source) > len(copy)
    assert predict_file_bytes(read(tmp_path, source), {}, {}) == len(copy)


def test_predictions_that_can_not_be_made(tmp_path: Path) -> None:
    header = read(tmp_path, model((), (entry(),), 32))
    for types, sentence in (
        ({"b": "F16"}, "The model has no tensor 'b'."),
        ({"a.weight": "Q9"}, "There is no tensor type 'Q9'."),
        ({"a.weight": "Q4_K"}, "Tensor 'a.weight' can't be Q4_K: its rows of 8 are no multiple of 256."),
    ):
        with pytest.raises(InputError) as caught:
            predict_file_bytes(header, types, {})
        assert caught.value.text == sentence


# --- split models --------------------------------------------------------------------------------------------


@pytest.fixture
def parts(tmp_path: Path) -> list[Path]:
    write(tmp_path / "m.gguf", MIXED, {}, split_max_tensors=2)
    return sorted(tmp_path.glob("m-*.gguf"))


def test_a_split_model_is_one_model(parts: list[Path], tmp_path: Path) -> None:
    whole, header = read_header(write(tmp_path / "whole.gguf", MIXED, {})), read_header(parts[0])
    assert [part.name for part in parts] == [f"m-0000{n}-of-00003.gguf" for n in (1, 2, 3)]
    assert header.parts == tuple(parts) and header.n_file_bytes == sum(part.stat().st_size for part in parts)
    assert [(t.name, t.n_bytes) for t in header.tensors] == [(t.name, t.n_bytes) for t in whole.tensors]
    assert [tensor.part for tensor in header.tensors] == [0, 0, 1, 1, 2]
    assert predict_file_bytes(header, F16, {}) == predict_file_bytes(whole, F16, {})


def test_faults_of_split_models(parts: list[Path], tmp_path: Path) -> None:
    first, second, third = parts
    assert refusal(second) == f"{second} is not the first of the 3 files of a split model."
    kept = third.read_bytes()
    third.unlink()
    assert refusal(first).startswith(f"{third} is missing: the model is split into 3 files, and this is file 3")
    third.write_bytes(kept[:-40])
    assert refusal(first).startswith(f"{third} is cut off: ")
    third.write_bytes(second.read_bytes())
    assert refusal(first) == f"{third} is damaged: split.no is not 2, as its name says."
    third.write_bytes(second.read_bytes().replace(b"split.no\2\0\0\0\1", b"split.no\2\0\0\0\2"))
    assert refusal(first) == f"{first} is damaged: two of its parts have a tensor of the same name."
    third.write_bytes(kept.replace(b"split.no\2", b"split.no\3"))
    assert refusal(first) == f"{third} is damaged: split.no has the type i16, and u16 is needed."
    third.write_bytes(kept)
    head = first.read_bytes()
    first.write_bytes(head.replace(b"split.tensors.count\5\0\0\0\5", b"split.tensors.count\5\0\0\0\6"))
    assert refusal(first) == f"{first} is damaged: split.tensors.count is 6, and its parts have 5 tensors."
    renamed = tmp_path / "renamed.gguf"
    renamed.write_bytes(head)
    assert refusal(renamed) == f"{renamed} is the first of 3 files of a split model, and its name does not say so."


# --- labels and texts ----------------------------------------------------------------------------------------


def test_promised_types_are_those_of_llama_cpp() -> None:
    """As llama_ftype_get_default_type in llama.cpp's src/llama-quant.cpp gives them."""
    same = "Q1_0 Q2_0 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q6_K TQ1_0 TQ2_0 IQ1_S IQ1_M IQ2_XXS IQ2_XS IQ3_XXS IQ3_S"
    expected: dict[str, str | None] = {name: name for name in [*same.split(), "IQ4_NL", "IQ4_XS"]}
    expected |= {"Q2_K_S": "Q2_K", "Q3_K_L": "Q3_K", "Q4_K_M": "Q4_K", "Q5_K_S": "Q5_K", "MXFP4_MOE": "MXFP4"}
    expected |= {"IQ2_S": "IQ2_XS", "IQ2_M": "IQ2_S", "IQ3_XS": "IQ3_S", "IQ3_M": "IQ3_S"}
    expected |= {"F32": None, "F16": None, "BF16": None, "COPY": None, "": None}
    assert {name: promised_type(name) for name in expected} == expected


def test_on_label_counts_matrices_only(tmp_path: Path) -> None:
    header = read_header(write(tmp_path / "m.gguf", MIXED, {}))
    assert on_label(header, "Q4_0") == 10240 / (6144 + 10240)
    assert on_label(header, "Q4_K_M") == 0.0
    assert on_label(header, "Q4_K_M", "Q8_0") == 6144 / (6144 + 10240)
    assert on_label(header, "F16") is None and on_label(header, "Q4_0", "F16") is None
    assert on_label(read(tmp_path, model()), "Q4_0") is None


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain é 漢字 🙂", "plain é 漢字 🙂"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("a\nb\tc\r\u2028", "a\\nb\\tc\\r\\u2028"),
        ("\u202eevil\u2066", "\\u202eevil\\u2066"),
        ("zero\u200bwidth\ufeff\u3164\ufe0f", "zero\\u200bwidth\\ufeff\\u3164\\ufe0f"),
        ("lone\udc80", "lone\\udc80"),
        ("\x9b31m\x85", "\\x9b31m\\x85"),
        ("x" * 11, "x" * 9 + "…"),
        ("x" * 10, "x" * 10),
        ("\n" * 9, "\\n\\n\\n\\n\\…"),
    ],
)
def test_safe_shows_what_would_act_or_hide(raw: str, shown: str) -> None:
    limit = 10 if len(set(raw)) == 1 else 200
    assert safe(raw, limit) == shown and len(safe(raw, limit)) <= limit


def test_every_character_is_shown_or_escaped() -> None:
    for code in (*range(0x3000), *range(0xD800, 0xE000), *range(0xE0000, 0xE0200)):
        assert safe(chr(code)).isprintable()


def test_tensor_info_is_frozen() -> None:
    info = TensorInfo("a", (1,), "F32", 1, 4, 0)
    with pytest.raises(AttributeError):
        info.name = "b"  # type: ignore[misc]
