"""A real bench of the small model, with a real meter process beside it and with a meter that dies."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import msgspec
import pytest

from edgeq import analyze, bench, instruments
from edgeq.access import Access
from edgeq.records import BenchRecord, Build, Gguf, Meter, Profile, Row

WATTS = 5.0
PRINTS = """
import json, sys, time
n = int(sys.argv[1])
for i in range(n):
    print(json.dumps({"power": 5.0}))
    time.sleep(0.05)
time.sleep(3600 if n < 10**6 else 0)
"""


def measured(
    built: Build, model: Gguf, folder: Path, n_records: int, window_s: float
) -> tuple[BenchRecord, Row, list[str]]:
    script = folder / "meter.py"
    script.write_text(PRINTS)
    meter = Meter(
        scope="board",
        transport="command",
        argv=(sys.executable, str(script), str(n_records)),
        format="json",
        fields={"power_w": "/power"},
        stale_after_s=1.0,
    )
    profile = Profile("test", sensors=("process_memory", "system_memory", "meter"), meter=meter)
    access = Access(profile=profile)
    said: list[str] = []
    shares: list[float] = []

    def live(share: float, text: str) -> None:
        shares.append(share)
        said.append(text)

    with instruments.opened(access) as found:
        asked = bench.settings(profile, ("pp128", "tg16"), n_reps=3, n_threads=1, found=found)
        # As long as that where power is measured; shorter in a test, but for the hundred periods that it takes.
        assert asked.idle_s >= 30 and asked.min_window_s >= 10
        asked = msgspec.structs.replace(asked, idle_s=window_s, min_window_s=window_s)
        one = bench.Bench(built, access, found, asked, folder / "records")
        record = one.measure(model, on_progress=live)
        assert one.measure(model) == record  # found again
    assert max(a - b for a, b in itertools.pairwise(shares)) < 0.2  # a test may turn out longer than was expected
    # The last look is up to half a second before the end.
    assert shares[0] < 0.1 and 1 - 0.6 / (4 * window_s) < shares[-1] <= 1
    (row,) = analyze.summarize([record], []).rows
    return record, row, said


@pytest.fixture(scope="module")
def metered(built: Build, model: Gguf, tmp_path_factory: pytest.TempPathFactory) -> tuple[BenchRecord, Row, list[str]]:
    return measured(built, model, tmp_path_factory.mktemp("metered"), 10**6, 5.7)


def test_energy_is_the_meters_watts_times_the_time_of_the_tokens(metered: tuple[BenchRecord, Row, list[str]]) -> None:
    record, row, _ = metered
    for e, speed in zip(row.energies, row.speeds, strict=True):
        assert (e.test, e.scope, e.headline, e.missing) == (speed.test, "board", True, "")
        assert e.gross_j_per_token and e.net_j_per_token and e.loaded_idle_w
        assert e.gross_j_per_token.value == pytest.approx(WATTS / speed.tps.value, rel=1e-6)
        assert e.net_j_per_token.value == pytest.approx(0, abs=1e-6)
        assert e.loaded_idle_w.value == pytest.approx(WATTS)
        assert e.window_s >= record.settings.min_window_s  # repeated until the meter can resolve it
    assert [p.kind for p in record.phases][:3] == ["idle", "load", "loaded"]
    assert [p.kind for p in record.phases][-2:] == ["loaded", "idle"]


def test_memory_is_that_of_the_measured_process_and_of_the_model_file(
    metered: tuple[BenchRecord, Row, list[str]], model: Gguf
) -> None:
    _, row, _ = metered
    assert row.memory and row.memory.anon_peak_bytes and row.memory.mapped_peak_bytes and row.memory.rss_peak_bytes
    assert 0.9 * model.n_bytes < row.memory.mapped_peak_bytes < 1.1 * model.n_bytes
    assert row.memory.anon_peak_bytes < row.memory.rss_peak_bytes
    assert set(row.memory.kv_bytes) == {"pp128", "tg16"}
    assert row.memory.vram_peak_bytes is None


def test_the_samplers_own_cost_is_measured_and_the_live_line_tells_watts(
    metered: tuple[BenchRecord, Row, list[str]],
) -> None:
    _, row, said = metered
    assert row.sampler_share is not None and 0 < row.sampler_share < 0.5
    assert any("5.0 W (board)" in text and "t/s" in text for text in said)


def test_a_meter_that_dies_costs_its_energy_and_nothing_else(built: Build, model: Gguf, tmp_path: Path) -> None:
    record, row, _ = measured(built, model, tmp_path, 20, 0.5)  # one second: it dies before the tests begin
    assert all(s.tps.value > 0 for s in row.speeds)
    assert all(e.gross_j_per_token is None and e.missing for e in row.energies)
    assert any("given nothing new" in s.fault for s in record.sampling)
    assert row.memory and row.memory.anon_peak_bytes
