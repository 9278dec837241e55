"""A series of files: what an anchor that drifts throws away, and that a comparison goes A B B A."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from edgeq import analyze, bench
from edgeq.access import Access
from edgeq.instruments import Instruments
from edgeq.records import Adapter, BenchRecord, BenchSettings, BenchTest, Phase, Profile
from tests.test_analyze import BUILD, HOST, file

SETTINGS = BenchSettings((BenchTest(0, 10),), n_reps=5)


class Clockwork(bench.Bench):
    """Measures nothing: each file's rate is a function of how many measurements were made before it."""

    order: list[tuple[str, int]]
    slow: Any

    def record(self, model: Any, turn: int, n: int) -> BenchRecord:
        ns = [round(1e8 * self.slow(n) * (1 + 0.001 * i)) for i in (0, 2, 1, 4, 3)]
        phases = tuple(Phase("decode", "tg10", i, 10, 1000 * n, 1000 * n + t) for i, t in enumerate(ns))
        return BenchRecord(model, BUILD, Profile("p"), HOST, SETTINGS, phases, (), (), 1, 1, turn=turn)


def clockwork(folder: Path, slow: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[bench.Bench, list[tuple[str, int]]]:
    """A bench with the real files and keys on disk, whose measuring is replaced."""
    made: list[tuple[str, int]] = []
    one = Clockwork(BUILD, Access(profile=Profile("p")), Instruments(), SETTINGS, folder)
    object.__setattr__(one, "slow", slow)

    class Run:
        def __init__(self, bench: Any, model: Any, on_progress: Any) -> None:
            self.model = model

        def record(self, turn: int) -> BenchRecord:
            made.append((self.model.sha256, turn))
            return one.record(self.model, turn, len(made))

    monkeypatch.setattr("edgeq.bench.one._Run", Run)
    return one, made


QUIET = lambda model: lambda share, text: None  # noqa: E731
FILES = [file(n) for n in "abcdefg"]


def test_a_steady_machine_measures_each_file_once_and_the_first_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, made = clockwork(tmp_path, lambda n: 1.0, monkeypatch)
    records = bench.series(one, FILES, QUIET)
    assert made == [*(("a", 0), ("b", 0), ("c", 0), ("d", 0), ("e", 0)), ("a", 1), ("f", 0), ("g", 0), ("a", 2)]
    assert sorted((r.model.sha256, r.turn) for r in records) == sorted(made)
    assert len(analyze.summarize(records, []).rows) == len(FILES)


def test_drift_discards_what_lies_between_and_measures_it_again_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, made = clockwork(tmp_path, lambda n: 1.0 if n <= 3 else 1.2, monkeypatch)
    records = bench.series(one, FILES, QUIET)
    assert [m for m, _ in made] == list("abcdeabcdeafga")
    rates = {r.name: r.speeds[0].tps.value for r in analyze.summarize(records, []).rows}
    assert max(rates.values()) < 1.01 * min(rates.values())  # all from the same state of the machine
    again = bench.series(one, FILES, QUIET)
    assert len(made) == 14  # and nothing is measured a second time when the command is repeated
    assert {id(r) for r in again} != {id(r) for r in records}


def test_an_interrupted_repeat_is_carried_on_and_nothing_is_measured_in_vain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, made = clockwork(tmp_path, lambda n: 1.0 if n <= 3 else 1.2, monkeypatch)
    whole = bench.series(one, FILES, QUIET)
    # As if it had been killed after the first two files of the repeat.
    one.path(FILES[0], 2)[0].unlink()
    for m in FILES[3:]:
        one.path(m)[0].unlink()
    one.path(FILES[0], 3)[0].unlink()
    n_made = len(made)
    again = bench.series(one, FILES, QUIET)
    assert [m for m, _ in made[n_made:]] == [*"dea", *"fga"]
    assert len(again) == len(whole)


def test_files_that_are_added_later_lie_between_anchors_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, made = clockwork(tmp_path, lambda n: 1.0 if n <= 4 else 1.3, monkeypatch)
    bench.series(one, FILES[:3], QUIET)
    bench.series(one, FILES[:5], QUIET)
    # d and e are slower, and the anchor after them shows it: all that lies before is measured again.
    assert [m for m, _ in made] == [*"abca", *"dea", *"bcdea"]


def test_a_machine_that_never_settles_gets_a_note_not_a_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, made = clockwork(tmp_path, lambda n: 1.0 + 0.1 * n, monkeypatch)
    records = bench.series(one, FILES, QUIET)
    assert len(made) == 1 + 2 * (4 + 1) + 2 * (2 + 1)
    (note,) = [w for w in analyze.summarize(records, []).warnings if w.code == "series-drift"]
    assert "slower" in note.text


def test_an_interleaved_comparison_cancels_linear_drift(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, made = clockwork(tmp_path, lambda n: 1.02**n, monkeypatch)
    bench.series(one, FILES[:2], QUIET)
    del made[:]
    object.__setattr__(one, "interleaved", True)  # as another command: nothing of the earlier bench is used
    a, b = file("a"), file("b")
    records = bench.interleave(one, a, b, 3, QUIET)
    assert "".join(m for m, _ in made) == "abba" * 3
    (rate,) = analyze.comparisons(records)
    assert rate.ratio.value == pytest.approx(1.0, abs=1e-9)
    assert (rate.first_sha256, rate.second_sha256, rate.n_blocks) == ("a", "b", 3)


def test_a_file_with_an_adapter_is_measured_on_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, made = clockwork(tmp_path, lambda n: 1.0, monkeypatch)
    adapted = [msgspec.structs.replace(FILES[0], adapter=Adapter("a.gguf", sha, 1, 1, "F16")) for sha in "xy"]
    bench.series(one, (FILES[0], *adapted), QUIET)
    assert made == [("a", 0), ("a", 0), ("a", 0), ("a", 1)]
    assert len(list(tmp_path.iterdir())) == 4
