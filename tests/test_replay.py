"""Every platform's fake machine, through its real adapters and the recorder, shown by the real command.

The energies are worked out by hand: in each state the power is constant, ten repetitions take 15 s each, and a
repetition is 512 tokens of prefill or 128 of decode.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

from edgeq.cli import cli
from edgeq.records import BenchSettings, BenchTest, Channel, Phase, Summary, Trace
from tests import replay
from tests.sysroots import apple, jetson, nvidia, pi, windows, x86
from tests.sysroots.machine import REP_S, Machine, State


class Case(NamedTuple):
    build: Callable[..., None]
    watts: dict[State, float]
    scope: str
    sensor: str
    estimated: bool = False
    platform: str = "linux"


CASES = {
    "jetson-nano": Case(jetson.nano, jetson.WATTS["nano"], "board", "ina"),
    "jetson-tx2": Case(jetson.tx2, jetson.WATTS["tx2"], "board", "ina"),
    "jetson-xavier-nx": Case(jetson.xavier_nx, jetson.WATTS["xavier_nx"], "module", "ina"),
    "jetson-orin-nano": Case(jetson.orin_nano, jetson.WATTS["orin_nano"], "module", "ina"),
    "jetson-agx-orin": Case(jetson.agx_orin, jetson.WATTS["agx_orin"], "module", "ina"),
    "jetson-agx-xavier": Case(jetson.agx_xavier, jetson.WATTS["agx_xavier"], "module", "ina"),
    "jetson-thor": Case(jetson.thor, jetson.WATTS["thor"], "board", "ina"),
    "pi-5": Case(pi.pi5, pi.WATTS["rail"], "rail", "pi_pmic"),
    "intel-client-psys": Case(x86.intel_client, x86.INTEL["board"], "board", "rapl"),
    "container": Case(x86.container, x86.INTEL["board"], "board", "rapl_perf"),
    "amd-apu": Case(x86.amd_apu, x86.APU["package"], "package", "rapl"),
    "amd-card": Case(x86.amd_card, x86.CARD["gpu"], "gpu", "amdgpu"),
    "laptop-battery": Case(x86.laptop_battery, x86.BATTERY["board"], "board", "battery"),
    "nvidia-datacenter": Case(nvidia.datacenter, nvidia.H100_WATTS, "gpu", "nvml"),
    "nvidia-laptop": Case(nvidia.laptop_gpu, nvidia.LAPTOP_WATTS, "gpu", "nvml"),
    "grace-hopper": Case(nvidia.grace_hopper, nvidia.MODULE_WATTS, "module", "nvml"),
    "apple": Case(apple.apple_silicon, apple.WATTS, "package", "apple", True, "darwin"),
    "windows": Case(windows.windows, windows.PACKAGE_WATTS, "package", "emi", False, "win32"),
}


def shown(path: Path, *options: str) -> Summary:
    """What ``edgeq bench --replay`` says of a record."""
    done = CliRunner().invoke(cli, ["bench", "--replay", str(path), "--json", *options])
    assert done.exit_code == 0, done.output
    return msgspec.json.decode(done.stdout, type=Summary)


@pytest.mark.parametrize("name", CASES)
def test_replay_prints_the_energies_computed_by_hand(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    machine = Machine(tmp_path)
    case.build(machine)
    path = replay.write(replay.bench(machine, platform=case.platform), tmp_path)
    (row,) = shown(path).rows
    headlines = {e.test: e for e in row.energies if e.headline}
    states: dict[str, tuple[State, int]] = {"pp512": ("prefill", 512), "tg128": ("decode", 128)}
    for test, (state, n_tokens) in states.items():
        e = headlines[test]
        assert (e.scope, e.source.split(":")[0], e.estimated) == (case.scope, case.sensor, case.estimated)
        assert e.gross_j_per_token and e.net_j_per_token and e.idle_w
        # 1 %: the worst that the edges of a window of 100 updates can do.
        assert e.gross_j_per_token.value == pytest.approx(case.watts[state] * REP_S / n_tokens, rel=0.01)
        net_w = case.watts[state] - case.watts["idle"]
        assert e.net_j_per_token.value == pytest.approx(net_w * REP_S / n_tokens, rel=0.01)
        assert e.idle_w.value == pytest.approx(case.watts["idle"], rel=0.01)


NOTHING = {
    "raspberry-pi-4": (pi.pi4, "no power sensor"),
    "rapl-denied": (x86.intel_denied, "only root may read"),
    "jetson-nvml": (nvidia.jetson_nvml, "no power sensor"),
}


@pytest.mark.parametrize("name", NOTHING)
def test_replay_without_a_power_sensor_gives_speed_and_says_why_there_is_no_energy(name: str, tmp_path: Path) -> None:
    build, why = NOTHING[name]
    machine = Machine(tmp_path)
    build(machine)
    summary = shown(replay.write(replay.bench(machine), tmp_path))
    (row,) = summary.rows
    assert row.energies == ()
    assert {s.test: s.tps.value for s in row.speeds} == {
        "pp512": pytest.approx(512 / 15),
        "tg128": pytest.approx(128 / 15),
    }
    assert any(why in w.text for w in summary.warnings)


def test_a_battery_that_is_charged_in_the_middle_has_no_energy_there_and_says_why(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    x86.laptop_battery(machine, plugged_at_s=200.0)  # within the prefill
    (row,) = shown(replay.write(replay.bench(machine), tmp_path)).rows
    prefill = next(e for e in row.energies if e.test == "pp512")
    assert prefill.gross_j_per_token is None
    assert prefill.missing


def test_an_apu_seen_by_two_sensors_is_not_added_up(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    x86.amd_apu(machine)
    (row,) = shown(replay.write(replay.bench(machine), tmp_path)).rows
    assert {e.scope for e in row.energies} == {"package"}
    for e in row.energies:
        assert e.mean_w and e.mean_w.value < 1.02 * x86.APU["package"]["prefill"]


def test_the_published_figures_of_a_smart_plug_come_out_exactly(tmp_path: Path) -> None:
    # Strix Halo, llama-bench tg1024, wall plug: 75.41 t/s at 148.0 W, 28.89 W idle.
    machine = Machine(tmp_path)

    channel = Channel("power", "power", "gauge", "W", "wall", 1.0, sensor="meter")
    t = np.arange(0, 700) * 10**9
    idle_w, load_w, tps, n = 28.89, 148.0, 75.41, 1024
    seconds = 10 * n / tps
    values = np.where((t >= 99e9) & (t <= (102 + seconds) * 1e9), load_w, idle_w)
    at = lambda s: round(s * 1e9)  # noqa: E731
    reps = [(100 + i * seconds / 10, 100 + (i + 1) * seconds / 10) for i in range(10)]
    phases = (
        Phase("idle", None, 0, 0, 0, at(95)),
        *(Phase("decode", "tg1024", i, n, at(a), at(b), ()) for i, (a, b) in enumerate(reps)),
        Phase("idle", None, 1, 0, at(105 + seconds), at(690)),
    )
    record = replay.bench(machine)
    record = msgspec.structs.replace(
        record,
        settings=BenchSettings((BenchTest(0, n),)),
        phases=phases,
        traces=(Trace(channel, t.astype("<i8").tobytes(), values.astype("<f8").tobytes()),),
    )
    (row,) = shown(replay.write(record, tmp_path), "--kwh", "0.30").rows
    (e,) = row.energies
    assert e.scope == "wall" and e.gross_j_per_token and e.net_j_per_token
    assert round(row.speeds[0].tps.value, 2) == 75.41
    assert round(e.gross_j_per_token.value, 3) == 1.963
    assert round(e.net_j_per_token.value, 3) == 1.579
    (cost,) = row.costs
    assert cost.energy_per_mtok and cost.energy_per_mtok.value == pytest.approx(148 / 75.41 * 0.30 / 3.6)
    assert not cost.estimated
