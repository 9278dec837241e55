"""RAPL through powercap and perf, AMD graphics, and the gauge of a laptop's battery."""

from __future__ import annotations

import errno
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeq.errors import DeniedError, MissingError
from edgeq.sensors import Sensor, amdgpu, battery, rapl, rapl_perf
from tests.sysroots import x86
from tests.sysroots.machine import DECODE_S, PREFILL_S, REP_S, Machine, State

MSR = "sys/class/powercap/intel-rapl:0"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def reading(sensor: Sensor) -> dict[str, float]:
    return {sensor.channels[s.channel].name: s.value for s in sensor.read()}


def watts(machine: Machine, sensor: Sensor, scope: str, t_s: float, seconds: float = REP_S) -> float:
    """Mean of the total of a scope: the rule is the sum of its summands, and one wrap is added back."""
    machine.t_s = t_s
    before = sensor.read()
    machine.t_s = t_s + seconds
    used = 0.0
    for old, new in zip(before, sensor.read(), strict=True):
        c = sensor.channels[new.channel]
        if c.scope == scope and c.summand and c.quantity == "energy":
            used += (new.value - old.value) % c.wraps_at if c.wraps_at else new.value - old.value
        elif c.scope == scope and c.summand and c.quantity == "power":
            used += old.value * seconds
    return used / seconds


@pytest.mark.parametrize(("t_s", "state"), [(0.0, "idle"), (PREFILL_S, "prefill"), (DECODE_S, "decode")])
def test_psys_is_never_added_to_the_package(machine: Machine, t_s: float, state: State) -> None:
    x86.intel_client(machine)
    sensor = rapl.probe(machine.access())
    for scope in ("package", "board"):
        assert watts(machine, sensor, scope, t_s) == pytest.approx(x86.INTEL[scope][state], rel=1e-5)
    assert {c.name: c.scope for c in sensor.channels if c.summand} == {"package-0": "package", "psys": "board"}
    assert {c.scope for c in sensor.channels if not c.summand} == {"rail"}


def test_msr_and_mmio_show_one_package_not_two(machine: Machine) -> None:
    x86.intel_client(machine)
    names = [c.name for c in rapl.probe(machine.access()).channels]
    assert names == ["package-0", "psys", "package-0 core", "package-0 uncore"]


def test_mmio_stands_in_where_the_msr_zone_is_broken(machine: Machine) -> None:
    x86.intel_client(machine)
    machine.file(f"{MSR}/energy_uj", lambda t: "")
    sensor = rapl.probe(machine.access())
    assert [c.source for c in sensor.channels if c.name == "package-0"] == ["intel-rapl-mmio:0/energy_uj"]


def test_a_failed_reading_is_neither_0_nor_a_wrap(machine: Machine) -> None:
    x86.intel_client(machine)
    sensor = rapl.probe(machine.access())
    machine.deny(f"{MSR}/energy_uj")
    with pytest.raises(OSError, match="Permission"):
        sensor.read()
    machine.denied.clear()
    machine.file(f"{MSR}/energy_uj", lambda t: "\n")
    with pytest.raises(ValueError, match="invalid literal"):
        sensor.read()


def test_a_wrap_can_be_told_from_a_reset(machine: Machine) -> None:
    x86.intel_client(machine)
    sensor = rapl.probe(machine.access())
    package = next(c for c in sensor.channels if c.name == "package-0")
    assert package.wraps_at == pytest.approx(262143.328850)
    assert package.max_w is not None
    machine.t_s = DECODE_S + 15.0
    before = reading(sensor)["package-0"]
    machine.t_s = DECODE_S + 25.0
    after = reading(sensor)["package-0"]
    assert after < before
    assert after - before + package.wraps_at == pytest.approx(10 * x86.INTEL["package"]["decode"], abs=1e-3)
    # Were 500 J of a fresh counter a wrap, the package would have used this much within ten seconds:
    assert max(x86.INTEL["package"].values()) < package.max_w < (package.wraps_at - 500 + 1) / 10


def test_memory_modules_are_added_to_the_packages_they_belong_to(machine: Machine) -> None:
    x86.intel_server(machine)
    sensor = rapl.probe(machine.access())
    assert len({c.name for c in sensor.channels}) == len(sensor.channels) == 4
    expected = x86.SERVER["package"]["decode"] + x86.SERVER["dram"]["decode"]
    assert watts(machine, sensor, "package", DECODE_S) == pytest.approx(expected, rel=1e-5)


def test_a_counter_that_stands_still_is_no_sensor(machine: Machine) -> None:
    x86.zone(machine, "intel-rapl:0", "package-0", {"idle": 0.0, "prefill": 0.0, "decode": 0.0})
    with pytest.raises(MissingError, match="moves"):
        rapl.probe(machine.access())


def test_rapl_denied_is_not_absent(machine: Machine) -> None:
    with pytest.raises(MissingError) as absent:
        rapl.probe(machine.access())
    assert not isinstance(absent.value, DeniedError)
    x86.intel_denied(machine)
    with pytest.raises(DeniedError) as denied:
        rapl.probe(machine.access())
    assert 'KERNEL=="intel-rapl*"' in denied.value.hint
    machine.denied.remove(machine.root / "sys/class/powercap/intel-rapl:0:0/energy_uj")
    with pytest.raises(DeniedError):
        rapl.probe(machine.access())
    assert "sudo" in denied.value.hint


@pytest.mark.parametrize("text", ["", "nan", "0x10", "12 34", "-"])
@pytest.mark.parametrize("file", ["energy_uj", "max_energy_range_uj"])
def test_garbage_leaves_a_zone_out(machine: Machine, file: str, text: str) -> None:
    x86.intel_client(machine)
    machine.file(f"sys/class/powercap/intel-rapl:1/{file}", lambda t: text)
    machine.file("sys/class/powercap/intel-rapl:2/name", text)
    assert {c.scope for c in rapl.probe(machine.access()).channels} == {"package", "rail"}


def test_perf_events_give_the_same_energy_where_powercap_is_hidden(machine: Machine) -> None:
    x86.container(machine)
    sensor = rapl_perf.probe(machine.access())
    for scope in ("package", "board"):
        for t_s, state in ((0.0, "idle"), (DECODE_S, "decode")):
            assert watts(machine, sensor, scope, t_s) == pytest.approx(x86.INTEL[scope][state], rel=1e-6)
    assert {c.scope for c in sensor.channels if not c.summand} == {"rail"}
    assert all(c.wraps_at is None for c in sensor.channels)
    sensor.close()
    with pytest.raises(KeyError):
        sensor.read()


def test_perf_events_stay_away_where_powercap_can_be_read(machine: Machine) -> None:
    x86.container(machine)
    x86.intel_denied(machine)
    assert rapl_perf.probe(machine.access()).channels
    machine.denied.clear()
    with pytest.raises(MissingError, match="powercap"):
        rapl_perf.probe(machine.access())


@pytest.mark.parametrize(
    ("code", "error"), [(errno.EACCES, DeniedError), (errno.EPERM, DeniedError), (errno.ENODEV, MissingError)]
)
def test_perf_events_denied_or_not_there(machine: Machine, code: int, error: type[MissingError]) -> None:
    x86.container(machine, error=code)
    with pytest.raises(MissingError) as e:
        rapl_perf.probe(machine.access())
    assert type(e.value) is error
    assert error is not DeniedError or "perf_event_paranoid" in e.value.hint


def test_apu_hwmon_and_rapl_overlap(machine: Machine) -> None:
    # Both are the package, so a total of one sensor at one scope never holds the other.
    x86.amd_apu(machine)
    graphics, processor = amdgpu.probe(machine.access()), rapl.probe(machine.access())
    for sensor in (graphics, processor):
        assert {c.scope for c in sensor.channels if c.quantity in ("power", "energy") and c.summand} == {"package"}
        assert watts(machine, sensor, "package", DECODE_S) == pytest.approx(x86.APU["package"]["decode"], rel=1e-4)
    assert "RAPL" in (graphics.channels[0].accuracy or "")
    assert "memory" not in {c.quantity for c in graphics.channels}, "an APU has no memory of its own"


def test_card_is_a_gpu_with_memory_of_its_own(machine: Machine) -> None:
    x86.amd_card(machine)
    sensor = amdgpu.probe(machine.access())
    assert reading(sensor) == {"power": 12.0, "edge": 47.0, "sclk": 2.2e9, "vram_used": 0.0}
    assert {c.scope for c in sensor.channels} == {"gpu"}
    assert not sensor.wakes
    machine.t_s = DECODE_S
    assert reading(sensor)["vram_used"] == x86.VRAM_BYTES["decode"] - x86.VRAM_BYTES["idle"]


def test_card_beside_an_apu(machine: Machine) -> None:
    x86.amd_apu(machine)
    x86.amd_card(machine)
    for hwmon, address in (("hwmon4", "0000:c5:00.0"), ("hwmon5", "0000:03:00.0")):
        folder = machine.root / "sys/class/hwmon" / hwmon / "device"
        folder.rename(folder.with_name(address))
        folder.symlink_to(address)
    sensor = amdgpu.probe(machine.access())
    power = {c.name: c.scope for c in sensor.channels if c.quantity == "power"}
    assert power == {"power 0000:c5:00.0": "package", "power 0000:03:00.0": "gpu"}
    assert len(set(sensor.channels)) == len(sensor.channels)


def test_power1_input_where_there_is_no_average(machine: Machine) -> None:
    x86.amd_card(machine)
    folder = "sys/class/hwmon/hwmon5"
    machine.file(f"{folder}/power1_average", lambda t: "")
    machine.file(f"{folder}/power1_input", "9000000\n")
    sensor = amdgpu.probe(machine.access())
    assert [c.kind for c in sensor.channels if c.quantity == "power"] == ["gauge"]
    assert reading(sensor)["power"] == 9.0


def test_sleeping_card_gives_nothing_rather_than_0(machine: Machine) -> None:
    x86.amd_card(machine, asleep=lambda t: t < 10.0)
    sensor = amdgpu.probe(machine.access())
    assert reading(sensor) == {"vram_used": 0.0}
    assert not sensor.wakes, "this kernel lets it sleep"
    machine.t_s = 10.0
    assert reading(sensor)["power"] == pytest.approx(x86.CARD["gpu"]["idle"], abs=x86.RIPPLE_W)


def test_card_that_only_sleeps_is_no_sensor(machine: Machine) -> None:
    x86.amd_card(machine, asleep=lambda t: True)
    machine.file("sys/class/hwmon/hwmon5/device/mem_info_vram_used", lambda t: "")
    with pytest.raises(MissingError, match="no readings") as e:
        amdgpu.probe(machine.access())
    assert not isinstance(e.value, DeniedError)


def test_kernel_that_wakes_a_sleeping_card_is_read_at_the_edges_only(machine: Machine) -> None:
    x86.amd_card(machine)
    machine.file("sys/class/hwmon/hwmon5/device/power/runtime_status", lambda t: "suspended")
    assert amdgpu.probe(machine.access()).wakes


def test_card_that_the_user_may_not_read(machine: Machine) -> None:
    x86.amd_card(machine)
    machine.deny("sys/class/hwmon/hwmon5/power1_average")
    with pytest.raises(DeniedError, match="/sys/class/hwmon/hwmon5/power1_average"):
        amdgpu.probe(machine.access())


def test_battery_shows_the_whole_machine_while_discharging(machine: Machine) -> None:
    x86.laptop_battery(machine)
    sensor = battery.probe(machine.access())
    assert watts(machine, sensor, "board", DECODE_S) == pytest.approx(x86.BATTERY["board"]["decode"], rel=1e-3)
    assert {c.name: c.summand for c in sensor.channels} == {"BAT0": True, "BAT0 energy": False}, "and no mouse"
    assert {c.update_period_s for c in sensor.channels} == {1.0}


def test_battery_energy_grows_by_what_was_used(machine: Machine) -> None:
    x86.laptop_battery(machine)
    sensor = battery.probe(machine.access())
    machine.t_s = DECODE_S
    before = reading(sensor)["BAT0 energy"]
    machine.t_s += 100.0
    used = reading(sensor)["BAT0 energy"] - before
    lsb = next(c.lsb for c in sensor.channels if c.name == "BAT0 energy")
    assert used == pytest.approx(100 * x86.BATTERY["board"]["decode"], abs=lsb)


def test_battery_on_mains_is_no_sensor(machine: Machine) -> None:
    x86.laptop_battery(machine, discharging=False)
    with pytest.raises(MissingError, match="not discharging") as e:
        battery.probe(machine.access())
    assert "Unplug" in e.value.hint


def test_battery_while_charging_is_void(machine: Machine) -> None:
    x86.laptop_battery(machine, plugged_at_s=DECODE_S)
    sensor = battery.probe(machine.access())
    machine.t_s = DECODE_S - 1
    assert not any(math.isnan(s.value) for s in sensor.read())
    machine.t_s = DECODE_S
    samples = sensor.read()
    assert len(samples) == len(sensor.channels)
    assert all(math.isnan(s.value) for s in samples)


@pytest.mark.parametrize(
    "changed",
    [
        {"AC/online": "1"},
        {"ucsi-source-psy-1/type": "USB", "ucsi-source-psy-1/online": "2"},
        {"BAT1/type": "Battery", "BAT1/status": "Charging", "BAT1/power_now": "5000000"},
    ],
    ids=["weak charger", "USB-C charger", "second battery is charged"],
)
def test_discharging_is_not_enough(machine: Machine, changed: dict[str, str]) -> None:
    x86.laptop_battery(machine)
    for file, text in changed.items():
        machine.file(f"sys/class/power_supply/{file}", lambda t, text=text: text)
    with pytest.raises(MissingError, match="not discharging"):
        battery.probe(machine.access())


def change_to_current(machine: Machine) -> None:
    folder = "sys/class/power_supply/BAT0"
    for name in ("power_now", "energy_now"):
        del machine.live[machine.root / folder / name]
        (machine.root / folder / name).unlink()
    machine.file(f"{folder}/current_now", "-2000000\n")
    machine.file(f"{folder}/voltage_now", "11500000\n")


def add_resting_battery(machine: Machine) -> None:
    folder = "sys/class/power_supply/BAT1"
    for name, text in (("type", "Battery"), ("status", "Not charging"), ("power_now", "0")):
        machine.file(f"{folder}/{name}", text)


@pytest.mark.parametrize(
    ("change", "expected"),
    [(change_to_current, {"BAT0": 23.0}), (add_resting_battery, {"BAT0": 6.0, "BAT1": 0.0})],
)
def test_other_batteries(machine: Machine, change: Callable[[Machine], None], expected: dict[str, float]) -> None:
    x86.laptop_battery(machine)
    change(machine)
    values = reading(battery.probe(machine.access()))
    values.pop("BAT0 energy", None)
    assert values == pytest.approx(expected, abs=2 * x86.RIPPLE_W)


def test_a_gauge_that_hardly_moves_is_taken_for_a_slow_one(machine: Machine) -> None:
    x86.laptop_battery(machine)
    change_to_current(machine)
    sensor = battery.probe(machine.access())
    assert sensor.channels[0].update_period_s == 60.0
    assert machine.t_s <= 10.0


def test_a_gauge_of_0_is_not_a_power_of_0(machine: Machine) -> None:
    x86.laptop_battery(machine)
    sensor = battery.probe(machine.access())
    machine.file("sys/class/power_supply/BAT0/power_now", lambda t: "0\n")
    assert all(math.isnan(s.value) for s in sensor.read())
    with pytest.raises(MissingError, match="does not tell"):
        battery.probe(machine.access())


def test_machine_without_a_battery(machine: Machine) -> None:
    machine.file("sys/class/power_supply/AC/type", "Mains")
    machine.file("sys/class/power_supply/AC/online", "1")
    with pytest.raises(MissingError, match="no battery"):
        battery.probe(machine.access())
