"""What other programs recorded, through the real commands: alone, beside a bench, and to fit a board's own model."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner, Result

from edgeq import store
from edgeq.cli import cli
from edgeq.errors import InputError
from edgeq.records import BenchRecord, Channel, Phase, Summary, Trace
from edgeq.stats import samples
from tests import replay
from tests.sysroots import linux, pi
from tests.sysroots.machine import END_S, IDLE_S, START_NS, Machine, state

WATTS = {"idle": 3.0, "prefill": 11.0, "decode": 8.0}


def edgeq(*argv: object) -> Result:
    return CliRunner().invoke(cli, [str(a) for a in argv])


def test_tegrastats_alone_gives_the_energy_of_the_whole_recording(tmp_path: Path) -> None:
    path = tmp_path / "tegra.log"
    line = (
        "RAM 1447/7620MB (lfb 4x4MB) CPU [0%@729,off] GR3D_FREQ 0%@[305,305] cpu@46C VDD_IN {0}mW/9mW VDD_SOC 5mW/5mW"
    )
    path.write_text("\n".join(line.format(4000 if i < 60 else 10000) for i in range(121)) + "\n")
    done = edgeq("report", "--trace", path, "--interval", "1", "--json")
    assert done.exit_code == 0, done.output
    total = next(r for r in json.loads(done.stdout) if r["name"] == "VDD_IN")
    assert total["scope"] == "module"
    assert total["joules"] == pytest.approx(60 * 4 + 60 * 10, rel=0.01)
    assert "VDD_IN" in edgeq("report", "--trace", path, "--interval", "1").stdout


def test_what_is_no_recording_is_refused_with_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(bytes(range(256)))
    for argv in (("report", "--trace", path), ("report", "--trace", tmp_path / "none.csv"), ("report",)):
        done = edgeq(*argv)
        # InputError is what the front desk turns into one sentence and exit status 3; a usage error is click's own.
        assert isinstance(done.exception, InputError) or done.exit_code == 2


def bursts(start_s: float) -> list[tuple[float, float]]:
    return [(start_s + a, start_s + b) for a, b in ((1, 4), (6, 7), (10, 12), (13, 17))]


def test_a_meters_own_recording_is_aligned_by_the_load_bursts_and_gives_energy_per_token(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "pi4")
    linux.pi4(machine)
    record = replay.bench(machine)
    # Bursts within the idle phases' time; the idle phases themselves are cut short accordingly.
    busy = [*bursts(IDLE_S - 20), *bursts(END_S - 20)]
    at = lambda s: START_NS + round(s * 1e9)  # noqa: E731
    sync = [Phase("sync", None, i, 0, at(a), at(b)) for i, (a, b) in enumerate(busy)]
    idle = [Phase("idle", None, 0, 0, at(0), at(IDLE_S - 25)), Phase("idle", None, 1, 0, at(460), at(END_S - 25))]
    kept = [p for p in record.phases if p.kind != "idle"]
    record = msgspec.structs.replace(record, phases=(idle[0], *sync[:4], *kept, *sync[4:], idle[1]))
    run = tmp_path / "run"
    store.make_folder(run / "records")
    store.save(run / "records" / "bench-x.json.gz", record, "k")
    # The meter: ten values a second, on a clock that is 1234.5 s behind and 50 ppm fast.
    t = np.arange(0, END_S + 5, 0.1)
    loaded = np.zeros(len(t), bool)
    for a, b in busy:
        loaded |= (t >= a) & (t < b)
    watts = np.where(loaded, 11.0, [WATTS[state(s)] for s in t])
    own = (t + START_NS / 1e9 - 1234.5) * (1 + 50e-6)
    csv = tmp_path / "meter.csv"
    csv.write_text("t_s,power_w\n" + "".join(f"{a:.4f},{w:.2f}\n" for a, w in zip(own, watts, strict=True)))
    profile = tmp_path / "my.yaml"
    profile.write_text(
        "name: mine\nmeter: {scope: wall, transport: csv, path: meter.csv, format: csv, time: field, "
        "update_period_s: 0.1, fields: {power_w: power_w, t_s: t_s}}\n"
    )
    done = edgeq("report", run, "--trace", csv, "--profile", profile, "--json", "--kwh", "0.3")
    assert done.exit_code == 0, done.output
    (row,) = msgspec.json.decode(done.stdout, type=Summary).rows
    assert row.notes == ()
    for e, s, n in zip(row.energies, ("prefill", "decode"), (512, 128), strict=True):
        assert e.scope == "wall" and e.gross_j_per_token and e.net_j_per_token
        assert e.gross_j_per_token.value == pytest.approx(WATTS[s] * 15 / n, rel=0.01)
        assert e.net_j_per_token.value == pytest.approx((WATTS[s] - 3.0) * 15 / n, rel=0.01)
    # Without the bursts there is no telling, and it says so.
    store.save(
        run / "records" / "bench-x.json.gz", msgspec.structs.replace(record, phases=(idle[0], *kept, idle[1])), "k"
    )
    (row,) = msgspec.json.decode(
        edgeq("report", run, "--trace", csv, "--profile", profile, "--json").stdout, type=Summary
    ).rows
    assert row.energies == ()
    assert any("align" in n.text and "--sync" in n.hint for n in row.notes)


def with_meter(record: BenchRecord, gain: float, offset_w: float) -> BenchRecord:
    """The record with a meter beside it that sees a straight line of the rails' sum."""
    rails = [t for t in record.traces if t.channel.sensor == "pi_pmic" and t.channel.scope == "rail"]
    t_ns, _ = samples(rails[0])
    total = sum(samples(r)[1] for r in rails)
    noise = np.random.default_rng(0).normal(0, 0.02, len(t_ns))
    channel = Channel("meter power", "power", "gauge", "W", "board", None, sensor="meter")
    values = gain * np.asarray(total) + offset_w + noise
    trace = Trace(channel, t_ns.astype("<i8").tobytes(), values.astype("<f8").tobytes())
    return msgspec.structs.replace(record, traces=(*record.traces, trace))


def test_pmic_finds_the_line_between_rails_and_meter_and_wants_both(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    pi.pi5(machine)
    record = replay.bench(machine)
    path = replay.write(with_meter(record, 1.25, 0.9), tmp_path)
    done = edgeq("pmic", path, "--json")
    assert done.exit_code == 0, done.output
    fit = json.loads(done.stdout)
    assert fit["n_points"] == 4
    assert fit["model"]["gain"] == pytest.approx(1.25, abs=0.01)
    assert fit["model"]["offset_w"] == pytest.approx(0.9, abs=0.03)
    assert fit["gain_se"] < 0.01 and fit["residual_w"] < 0.05
    assert "gain: 1.2" in edgeq("pmic", path).stdout
    alone = CliRunner().invoke(cli, ["pmic", str(replay.write(record, tmp_path))])
    assert isinstance(alone.exception, InputError) and "0 phases" in str(alone.exception)
