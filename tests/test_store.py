"""Results on disk: whole or not at all, found again only for the same inputs, readable for ever."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from edgeq import records, store
from edgeq.errors import InputError, MissingError
from edgeq.records import SCHEMA, Corpus, Recipe

RECIPE = Recipe("Q4_K_M", "Q4_K_M", overrides=(("^blk", "q8_0"),))


@pytest.mark.parametrize("name", ["r.json", "r.json.gz"])
def test_a_record_comes_back_for_its_key_only(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    store.save(path, RECIPE, "key")
    assert store.load(path, Recipe) == RECIPE
    assert store.find(path, Recipe, "key") == RECIPE
    assert store.find(path, Recipe, "another") is None
    with pytest.raises(InputError, match="holds a Recipe, not a Corpus"):
        store.load(path, Corpus)


def test_equal_records_are_equal_bytes(tmp_path: Path) -> None:
    store.save(tmp_path / "a.json.gz", RECIPE, "k")
    store.save(tmp_path / "b.json.gz", RECIPE, "k")
    assert (tmp_path / "a.json.gz").read_bytes() == (tmp_path / "b.json.gz").read_bytes()


@pytest.mark.parametrize("name", ["r.json", "r.json.gz"])
def test_every_truncation_is_damage_not_a_crash(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    store.save(path, RECIPE, "key")
    data = path.read_bytes()
    for n in range(0, len(data) - 1, 3):
        path.write_bytes(data[:n])
        assert store.find(path, Recipe, "key") is None
        with pytest.raises(InputError):
            store.load(path, Recipe)


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    store.save(path, RECIPE, "key")
    path.write_text(path.read_text().replace(f'"schema": {SCHEMA}', f'"schema": {SCHEMA + 1}'))
    with pytest.raises(InputError, match="newer edgeq"):
        store.load(path, Recipe)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_a_failed_write_leaves_the_old_file_and_no_other(
    tmp_path: Path, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "r.json"
    store.save(path, RECIPE, "old")

    def refuse(self: Path, data: bytes) -> int:
        with self.open("wb") as f:
            f.write(data[:10])
        raise OSError(code, "refused", str(self))

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(MissingError) as e:
        store.save(path, RECIPE, "new")
    assert e.value.hint
    assert store.find(path, Recipe, "old") == RECIPE
    assert [p.name for p in tmp_path.iterdir()] == ["r.json"]


def test_a_real_full_disk_is_a_sentence() -> None:
    with pytest.raises(MissingError, match="no space left"), store.writing(Path("/dev/full")):
        Path("/dev/full").write_bytes(b"x")


def test_keys_depend_on_every_input_and_not_on_order_of_keys() -> None:
    assert store.key_of("a", {"x": 1, "y": 2}) == store.key_of("a", {"y": 2, "x": 1})
    assert (
        len({store.key_of(*args) for args in (("a",), ("a", None), ("a", 0), ("a", ""), ("a", RECIPE), ("aa",))}) == 6
    )


def test_a_folder_in_use_is_refused_at_once(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from edgeq import store;"
        f"c = store.lock(Path({str(tmp_path)!r}), 'x'); c.__enter__(); print('held', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(InputError, match="Another edgeq"), store.lock(tmp_path, "x"):
            pass
    finally:
        other.kill()
        other.wait()
    with store.lock(tmp_path, "x"):  # a lock dies with its owner
        pass


GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("schema-*/*")), ids=lambda p: f"{p.parent.name}/{p.name}")
def test_records_of_every_old_schema_can_be_read(path: Path) -> None:
    assert store.load(path, getattr(records, path.name.split(".")[0]))
