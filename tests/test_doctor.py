"""The examination: every sensor is usable, denied or absent, with what was measured of it or what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from edgeq.cli import cli
from edgeq.doctor import Examination
from edgeq.plugins import modules
from tests.sysroots import jetson, nvidia, pi, x86
from tests.sysroots.machine import Machine


def examined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, build: Callable[[Machine], None], *options: str
) -> tuple[int, str]:
    """(exit status, output) of ``edgeq doctor`` on a fake machine."""
    machine = Machine(tmp_path)
    build(machine)
    monkeypatch.setattr("edgeq.access.Access", lambda profile: machine.access(profile=profile))
    done = CliRunner().invoke(cli, ["doctor", *options])
    return done.exit_code, done.output


def test_without_sensors_it_explains_itself_and_exits_4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    status, said = examined(tmp_path, monkeypatch, lambda machine: None)
    assert status == 4
    assert all(name in said for name in modules("sensors"))
    assert "Energy can't: no sensor gives power" in said
    assert "external meter" in said.lower()


def test_a_usable_sensor_shows_its_scope_period_step_noise_and_cost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, said = examined(tmp_path, monkeypatch, jetson.orin_nano, "--json")
    assert status == 0
    found = msgspec.json.decode(said, type=Examination)
    assert found.measures_power
    ina = next(s for s in found.sensors if s.name == "ina")
    assert ina.state == "usable" and ina.read_s is not None
    total = next(r for r in ina.readings if r.scope == "module")
    assert total.channel == "VDD_IN"
    assert total.value == pytest.approx(jetson.WATTS["orin_nano"]["idle"], rel=0.02)
    assert total.lsb == pytest.approx(0.03968, rel=1e-3)  # 8 mA at 4.96 V


def test_how_often_a_sensor_changes_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, said = examined(tmp_path, monkeypatch, nvidia.datacenter, "--json")
    nvml = next(s for s in msgspec.json.decode(said, type=Examination).sensors if s.name == "nvml")
    counter = next(r for r in nvml.readings if r.quantity == "energy")
    assert counter.measured_period_s == pytest.approx(0.1, abs=0.02)  # its driver writes it ten times a second


def pi5_denied(machine: Machine) -> None:
    pi.pi5(machine)
    machine.deny("dev/vcio")
    machine.deny("dev/vcio_gencmd")


@pytest.mark.parametrize(
    ("build", "sensor", "fix"),
    [(x86.intel_denied, "rapl", "udev"), (pi5_denied, "pi_pmic", "usermod")],
    ids=["rapl", "vcio"],
)
def test_present_but_not_permitted_is_not_absent_and_names_the_fix(
    build: Callable[[Machine], None], sensor: str, fix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, said = examined(tmp_path, monkeypatch, build, "--json")
    assert status == 4
    found = {s.name: s for s in msgspec.json.decode(said, type=Examination).sensors}
    assert found[sensor].state == "denied"
    assert fix in found[sensor].hint
    assert found["battery"].state == "absent"


def test_nvml_that_answers_without_a_reading_is_no_sensor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    status, said = examined(tmp_path, monkeypatch, nvidia.jetson_nvml, "--json")
    assert status == 4
    found = {s.name: s for s in msgspec.json.decode(said, type=Examination).sensors}
    assert found["nvml"].state == "absent"
    assert "no reading" in found["nvml"].text
