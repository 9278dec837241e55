"""Damaged GGUF headers by the thousand: refused with an InputError, or consistent with the file to the byte."""

from __future__ import annotations

import contextlib
import math
import random
import struct
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import gguf
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeq.errors import InputError
from edgeq.gguf_info import ArrayValue, Header, read_header

SEED = 20260401
SECONDS_PER_FILE = 2.0
LIES_U64 = (0, 1, 2**31, 2**32, 2**60, 2**63 - 1, 2**63, 2**64 - 1)
LIES_U32 = (0, 1, 9, 13, 31, 42, 43, 2**16, 2**31 - 1, 2**31, 2**32 - 1)
REAL_MODEL = Path(__file__).parent / "model" / "edgeq-5m-f16.gguf"

Field = tuple[int, int]  # position and size in bytes of a number that steers the reader
Entry = tuple[str, tuple[int, ...], int, int]  # name, shape, type number and offset of a tensor


# --- three models, and the real one --------------------------------------------------------------------------


def _tokenizer(writer: gguf.GGUFWriter, n_tokens: int) -> None:
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([f"tok{index}é" for index in range(n_tokens)])
    writer.add_token_scores([-float(index) for index in range(n_tokens)])
    writer.add_token_types([1] * n_tokens)
    writer.add_token_merges([f"t o{index}" for index in range(n_tokens // 2)])


def _save(writer: gguf.GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _llama(path: Path) -> None:
    rng = np.random.default_rng(1)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("small llama")
    writer.add_block_count(2)
    writer.add_file_type(2)
    _tokenizer(writer, 60)
    for name, kind, shape in (
        ("token_embd.weight", gguf.GGMLQuantizationType.Q8_0, (60, 32)),
        ("blk.0.attn_norm.weight", None, (32,)),
        ("blk.0.attn_q.weight", gguf.GGMLQuantizationType.Q4_0, (32, 32)),
        ("blk.0.ffn_up.weight", gguf.GGMLQuantizationType.F16, (64, 32)),
    ):
        data = rng.standard_normal(shape, dtype=np.float32)
        writer.add_tensor(name, data if kind is None else gguf.quants.quantize(data, kind), raw_dtype=kind)
    _save(writer)


def _all_kinds(path: Path) -> None:
    writer = gguf.GGUFWriter(path, "test")
    writer.add_custom_alignment(64)
    for name in ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"):
        getattr(writer, f"add_{name}")(f"kind.{name}", 7)
    writer.add_float32("kind.float32", 0.5)
    writer.add_float64("kind.float64", 0.25)
    writer.add_bool("kind.bool", True)
    writer.add_string("kind.string", "line\nbreak \x1b[31m red")
    writer.add_array("kind.bools", [True, False])
    writer.add_array("kind.floats", [0.5, 1.5])
    writer.add_tensor("four.weight", np.zeros((2, 3, 4, 5), np.float32))
    writer.add_tensor("half.weight", np.zeros((3, 7), np.float16))
    writer.add_tensor("position", np.arange(5, dtype=np.int32))
    _save(writer)


def _many_tensors(path: Path) -> None:
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_block_count(12)
    writer.add_chat_template("{% for message in messages %}{{ message }}{% endfor %}")
    for layer in range(12):
        for part in ("attn_q", "attn_k", "ffn_down"):
            writer.add_tensor(f"blk.{layer}.{part}.weight", np.zeros((4, 8), np.float16))
        writer.add_tensor(f"blk.{layer}.attn_norm.weight", np.zeros(8, np.float32))
    _save(writer)


def _real(path: Path) -> None:
    path.write_bytes(REAL_MODEL.read_bytes())


BUILDERS: dict[str, Callable[[Path], None]] = {"llama": _llama, "all": _all_kinds, "many": _many_tensors}
if REAL_MODEL.exists():
    BUILDERS["real"] = _real


@pytest.fixture(scope="module", params=sorted(BUILDERS))
def sound(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that nothing is wrong with."""
    path: Path = tmp_path_factory.mktemp("sound") / f"{request.param}.gguf"
    BUILDERS[request.param](path)
    return path


# --- a second reader, which believes everything and shares nothing with the first ----------------------------


class Believer:
    """Takes a header apart without any check, and notes where the numbers are that steer a reader."""

    sizes = (1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8)

    def __init__(self, data: bytes) -> None:
        self.data, self.pos = data, 4
        self.fields: list[Field] = []
        self.number(4)
        n_tensors, n_pairs = self.number(8), self.number(8)
        self.pairs = dict(self.pair() for _ in range(n_pairs))
        self.tensors = [self.tensor() for _ in range(n_tensors)]
        self.end = self.pos

    def number(self, size: int) -> int:
        self.fields.append((self.pos, size))
        self.pos += size
        return int.from_bytes(self.data[self.pos - size : self.pos], "little")

    def string(self) -> bytes:
        length = self.number(8)
        self.pos += length
        return self.data[self.pos - length : self.pos]

    def pair(self) -> tuple[str, int]:
        start = self.pos
        key = self.string().decode()
        kind, count = self.number(4), 1
        if kind == 9:
            kind, count = self.number(4), self.number(8)
        if kind == 8:
            for _ in range(count):
                self.string()
        else:
            self.pos += self.sizes[kind] * count
        return key, self.pos - start

    def tensor(self) -> Entry:
        name = self.string().decode()
        shape = tuple(self.number(8) for _ in range(self.number(4)))
        return name, shape, self.number(4), self.number(8)


def _check_claims(header: Header, data: bytes, n_tail: int = 0) -> None:
    """Everything that the header says is true of the file, which is ``data`` and ``n_tail`` bytes more."""
    n_file_bytes = len(data) + n_tail
    seen = Believer(data)
    assert header.kv_bytes == seen.pairs
    assert header.metadata.keys() == seen.pairs.keys()
    assert header.n_file_bytes == n_file_bytes
    assert [(tensor.name, tensor.shape) for tensor in header.tensors] == [entry[:2] for entry in seen.tensors]
    assert len({tensor.name for tensor in header.tensors}) == len(header.tensors)
    if header.tensors:
        assert 0 <= header.data_offset - seen.end < header.alignment
        assert header.data_offset % header.alignment == 0
    end = header.data_offset
    for tensor, (name, shape, type_id, offset) in zip(header.tensors, seen.tensors, strict=True):
        block, size = (64, 18) if type_id == 42 else gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType(type_id)]
        assert len(name.encode()) < 64 and 1 <= len(shape) <= 4 and min(shape) >= 1
        assert tensor.n_elements == math.prod(shape) and shape[0] % block == 0
        assert tensor.n_bytes == tensor.n_elements // block * size
        assert tensor.offset == header.data_offset + offset and offset % header.alignment == 0
        assert end <= tensor.offset and tensor.offset + tensor.n_bytes <= n_file_bytes
        end = tensor.offset + tensor.n_bytes


# --- mutations -----------------------------------------------------------------------------------------------


def _put(data: bytes, pos: int, value: bytes) -> bytes:
    return (data[:pos] + value + data[pos + len(value) :])[: len(data)]


def _lies(data: bytes, fields: list[Field]) -> Iterator[bytes]:
    for pos, size in fields:
        for value in LIES_U64 if size == 8 else LIES_U32:
            yield _put(data, pos, value.to_bytes(size, "little"))
        for step in (-1, 1, 32):
            value = int.from_bytes(data[pos : pos + size], "little") + step
            yield _put(data, pos, (value % 2 ** (8 * size)).to_bytes(size, "little"))


def _noise(data: bytes, end: int, rng: random.Random, n: int) -> Iterator[bytes]:
    for _ in range(n):
        pos, length = rng.randrange(4, end), rng.randrange(1, 9)
        yield _put(data, pos, bytes([data[pos] ^ 1 << rng.randrange(8)]))
        yield _put(data, pos, rng.choice((b"\0", b"\xff")) * length)
        yield _put(data, pos, struct.pack("<Q", rng.choice(LIES_U64)))
        yield data[:pos] + data[pos + length :]
        yield data[:pos] + data[pos : pos + length] + data[pos:]


def _swaps(data: bytes, fields: list[Field], rng: random.Random, n: int) -> Iterator[bytes]:
    for _ in range(n):
        (one, size), (other, other_size) = rng.sample(fields, 2)
        if size == other_size:
            yield _put(_put(data, one, data[other : other + size]), other, data[one : one + size])


def _mutants(data: bytes) -> Iterator[bytes]:
    rng = random.Random(SEED)
    seen = Believer(data)
    fields = seen.fields if len(seen.fields) < 250 else seen.fields[:3] + rng.sample(seen.fields, 247)
    yield from _lies(data, fields)
    yield from _noise(data, seen.end, rng, 500)
    yield from _swaps(data, fields, rng, 400)


def _outcome(path: Path, data: bytes, n_tail: int = 0) -> Header | None:
    """The header of a file, None where it was refused with a sentence and a hint, within the time allowed."""
    _overwrite(path, data, n_tail)
    start = time.process_time()
    try:
        return read_header(path)
    except InputError as error:
        assert error.text.endswith(".") and error.hint
        assert path.name in error.text and error.text.isprintable()
        return None
    finally:
        assert time.process_time() - start < SECONDS_PER_FILE


def _overwrite(path: Path, data: bytes, n_tail: int = 0) -> None:
    """Makes ``path`` hold ``data`` and a hole of ``n_tail`` bytes.

    The file is not emptied first, because file systems flush a file that is emptied, which takes far longer.
    """
    path.touch()
    with path.open("r+b") as file:
        file.write(data)
        file.truncate()
        file.truncate(len(data) + n_tail)


def _head(path: Path) -> tuple[bytes, int]:
    """The header with the first bytes of the tensors, and the number of bytes that follow."""
    data = path.read_bytes()
    n_head = min(len(data), Believer(data).end + 512)
    return data[:n_head], len(data) - n_head


def test_sound_files_pass(sound: Path) -> None:
    _check_claims(read_header(sound), sound.read_bytes())


def test_mutants_are_refused_or_consistent(sound: Path, tmp_path: Path) -> None:
    data, n_tail = _head(sound)
    n_refused = n_accepted = 0
    for mutant in _mutants(data):
        header = _outcome(tmp_path / "mutant.gguf", mutant, n_tail)
        if header is None:
            n_refused += 1
        else:
            n_accepted += 1
            _check_claims(header, mutant, n_tail)
    # Most fields steer the reader, and a flipped bit of a text or of a value makes another sound file.
    assert n_refused + n_accepted > 3000
    assert n_refused > 0.5 * (n_refused + n_accepted)
    assert n_accepted > 20


def test_every_cut_inside_the_header_or_the_last_tensor_is_refused(sound: Path, tmp_path: Path) -> None:
    data, _ = _head(sound)
    last = read_header(sound).tensors[-1]
    end, n_header = last.offset + last.n_bytes, Believer(data).end

    def cut(length: int) -> Header | None:
        return _outcome(tmp_path / "cut.gguf", data[:length], max(0, length - len(data)))

    lengths = {*range(0, n_header, max(1, n_header // 400)), *range(n_header - 40, n_header + 40)}
    lengths |= {*range(0, end, max(1, end // 200)), end - 1}
    assert [length for length in sorted(lengths) if length < end and cut(length) is not None] == []
    assert cut(end) is not None


def test_lying_numbers_take_no_memory(sound: Path, tmp_path: Path) -> None:
    data, n_tail = _head(sound)
    fields = Believer(data).fields
    path = tmp_path / "liar.gguf"
    tracemalloc.start()
    try:
        for pos, size in fields[:: max(1, len(fields) // 40)]:
            for value in (2**60, 2**63 - 1, 2**32 - 1, 2**31):
                _overwrite(path, _put(data, pos, (value % 2 ** (8 * size)).to_bytes(size, "little")), n_tail)
                tracemalloc.reset_peak()
                with contextlib.suppress(InputError):
                    read_header(path)
                assert tracemalloc.get_traced_memory()[1] < (64 << 20) + len(data)
    finally:
        tracemalloc.stop()


def test_a_lie_in_a_huge_sparse_file_is_refused_soon(tmp_path: Path) -> None:
    path = tmp_path / "sparse.gguf"
    array = struct.pack("<Q1sIIQ", 1, b"a", 9, 4, 2**34)
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + array)
    with path.open("r+b") as file:
        file.truncate(2**37)
    start = time.process_time()
    with pytest.raises(InputError, match=r"value of 'a' makes the header larger than 134,217,728 bytes"):
        read_header(path)
    assert time.process_time() - start < SECONDS_PER_FILE


# --- any header that follows the format is read as it was written --------------------------------------------

_INTS = ((0, "B"), (1, "b"), (2, "H"), (3, "h"), (4, "I"), (5, "i"), (10, "Q"), (11, "q"))
_NAMES = ("u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "str", "arr", "u64", "i64", "f64")
Encoded = tuple[object, bytes]  # the value as it must be read, and type and value as they are written


def _integers(type_id: int, form: str) -> st.SearchStrategy[Encoded]:
    bits = 8 * struct.calcsize(form)
    low, high = (0, 2**bits - 1) if form.isupper() else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return st.integers(low, high).map(lambda value: (value, struct.pack(f"<I{form}", type_id, value)))


def _text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def _array(kind: int, items: list[bytes]) -> Encoded:
    return ArrayValue(_NAMES[kind], len(items)), struct.pack("<IIQ", 9, kind, len(items)) + b"".join(items)


_VALUES: st.SearchStrategy[Encoded] = st.one_of(
    *(_integers(*kind) for kind in _INTS),
    st.floats(width=32, allow_nan=False).map(lambda value: (value, struct.pack("<If", 6, value))),
    st.floats(allow_nan=False).map(lambda value: (value, struct.pack("<Id", 12, value))),
    st.booleans().map(lambda value: (value, struct.pack("<I?", 7, value))),
    st.text().map(lambda value: (value, struct.pack("<I", 8) + _text(value))),
    st.lists(st.text().map(_text), max_size=5).map(lambda items: _array(8, items)),
    st.lists(st.binary(min_size=4, max_size=4), max_size=5).map(lambda items: _array(6, items)),
    st.lists(st.sampled_from((b"\0", b"\1")), max_size=5).map(lambda items: _array(7, items)),
)
_KEYS = st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=40)


@settings(max_examples=200, deadline=None)
@given(pairs=st.dictionaries(_KEYS.filter(lambda key: not key.startswith(("general.", "split."))), _VALUES))
def test_whatever_follows_the_format_is_read_as_written(
    tmp_path_factory: pytest.TempPathFactory, pairs: dict[str, Encoded]
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.gguf"
    encoded = [_text(key) + value for key, (_, value) in pairs.items()]
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, len(pairs)) + b"".join(encoded))
    header = read_header(path)
    assert header.metadata == {key: value for key, (value, _) in pairs.items()}
    assert list(header.kv_bytes.values()) == [len(pair) for pair in encoded]
