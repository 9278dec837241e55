"""Raspberry Pi: rails, the estimate of the board, and throttling, from the firmware's own words."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.access import Access
from edgeq.errors import DeniedError, MissingError
from edgeq.records import PmicModel, Profile
from edgeq.sensors import Sensor, _vcio, pi_pmic, pi_throttled
from tests.sysroots import pi
from tests.sysroots.machine import DECODE_S, PREFILL_S, Machine


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def reading(sensor: Sensor) -> dict[str, float]:
    return {sensor.channels[s.channel].name: s.value for s in sensor.read()}


@given(st.permutations(pi.dump(DECODE_S).splitlines()))
def test_rails_are_paired_by_name_whatever_the_order(lines: list[str]) -> None:
    rails = pi_pmic.rails_w("\n".join(lines))
    assert rails.keys() == pi.RAILS.keys(), "the 5 V input and the clock's battery have no current: no rails"
    assert sum(rails.values()) == pytest.approx(pi.WATTS["rail"]["decode"], rel=pi.RIPPLE)


@pytest.mark.parametrize(("t_s", "state"), [(0.0, "idle"), (PREFILL_S, "prefill"), (DECODE_S, "decode")])
def test_pi_5_measures_rails_and_estimates_the_board(machine: Machine, t_s: float, state: str) -> None:
    pi.pi5(machine)
    sensor = pi_pmic.probe(machine.access())
    machine.t_s = t_s
    samples = sensor.read()
    by_scope = {scope: [c for c in sensor.channels if c.scope == scope] for scope in ("rail", "board")}
    assert len(by_scope["rail"]) == 12
    assert not any(c.estimated for c in by_scope["rail"])
    assert [c.estimated for c in by_scope["board"]] == [True]
    for scope, watts in pi.WATTS.items():
        total = sum(s.value for s in samples if sensor.channels[s.channel].scope == scope)
        assert total == pytest.approx(watts[state], rel=pi.RIPPLE)


def test_own_fit_replaces_the_published_one_and_is_named(machine: Machine) -> None:
    pi.pi5(machine)
    profile = Profile("mine", pmic=PmicModel(2.0, 1.0, "my meter"))
    sensor = pi_pmic.probe(machine.access(profile=profile))
    assert reading(sensor)["board, corrected"] == pytest.approx(2 * pi.WATTS["rail"]["idle"] + 1, rel=1e-6)
    assert "my meter" in (sensor.channels[-1].accuracy or "")


def test_an_incomplete_answer_gives_no_sum_of_fewer_rails(machine: Machine) -> None:
    pi.pi5(machine)
    short = "\n".join(line for line in pi.dump(0.0).splitlines() if "VDD_CORE_V" not in line)
    pi.firmware(machine, {"pmic_read_adc": lambda t: short})
    sensor = pi_pmic.PiPmic(_vcio.connect(machine.access()), tuple(pi.RAILS), PmicModel(1.0, 0.0))
    with pytest.raises(ValueError, match="VDD_CORE"):
        sensor.read()


def test_pi_4_has_no_current_sensing(machine: Machine) -> None:
    pi.pi4(machine)
    with pytest.raises(MissingError, match="no current sensing") as e:
        pi_pmic.probe(machine.access())
    assert not isinstance(e.value, DeniedError)
    assert "external meter" in e.value.hint


def test_unknown_commands_are_no_readings(machine: Machine) -> None:
    pi.firmware(machine, {})
    with pytest.raises(MissingError, match="no current sensing"):
        pi_pmic.probe(machine.access())
    with pytest.raises(MissingError, match="does not tell"):
        pi_throttled.probe(machine.access())


@pytest.mark.parametrize("probe", [pi_pmic.probe, pi_throttled.probe])
def test_denied_is_not_absent(machine: Machine, probe: object) -> None:
    with pytest.raises(MissingError) as absent:
        probe(machine.access())  # type: ignore[operator]
    assert not isinstance(absent.value, DeniedError)
    pi.firmware(machine, {})
    machine.deny("dev/vcio_gencmd")
    with pytest.raises(DeniedError) as denied:
        probe(machine.access())  # type: ignore[operator]
    assert "usermod -aG video" in denied.value.hint


def test_sticky_get_throttled_is_no_evidence(machine: Machine) -> None:
    # Other tools report a Pi as throttled for ever after one dip of its voltage.
    pi.pi4(machine, throttled=lambda t: 0x50000)
    sensor = pi_throttled.probe(machine.access())
    for _ in range(3):
        flags = reading(sensor)
        assert flags.pop("arm") == pi.CLOCK_HZ["idle"]
        assert set(flags.values()) == {0.0}


def test_what_happens_between_two_readings_is_seen_once(machine: Machine) -> None:
    pi.pi4(machine, throttled=lambda t: 0x50000 if t < 10 else 0x70000)
    sensor = pi_throttled.probe(machine.access())
    seen = []
    for machine.t_s in (5.0, 15.0, 20.0):
        flags = reading(sensor)
        flags.pop("arm")
        seen.append({name for name, value in flags.items() if value})
    assert seen == [set(), {"ARM frequency capped"}, set()]


def test_live_bits_count_even_where_the_sticky_ones_were_set(machine: Machine) -> None:
    pi.pi4(machine, throttled=lambda t: 0xF0000 | (0x8 if t < 10 else 0x5))
    sensor = pi_throttled.probe(machine.access())
    assert reading(sensor)["soft temperature limit"] == 1
    machine.t_s = 10.0
    flags = reading(sensor)
    assert (flags["under-voltage"], flags["throttled"], flags["soft temperature limit"]) == (1, 1, 0)


def test_kernel_tells_of_under_voltage_where_the_mailbox_is_denied(machine: Machine) -> None:
    pi.pi5(machine, throttled=lambda t: 0x10001 if t >= 10 else 0)
    machine.deny("dev/vcio_gencmd")
    sensor = pi_throttled.probe(machine.access())
    assert reading(sensor) == {"under-voltage": 0.0}
    machine.t_s = 12.0
    assert reading(sensor) == {"under-voltage": 1.0}


def test_the_real_ioctl_takes_the_message(tmp_path: Path) -> None:
    if not Path("/dev/null").is_char_device():
        pytest.skip("no /dev/null here")
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "vcio").symlink_to("/dev/null")
    mailbox = _vcio.connect(Access(root=tmp_path))
    with pytest.raises(OSError, match="Inappropriate ioctl"):
        mailbox.ask("get_throttled")
    mailbox.close()
