"""Profiles: the shelf's figures have sources, every machine is recognized as itself, a draft can be read back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from edgeq import device, profiles
from edgeq.access import Access
from edgeq.cli import cli
from edgeq.doctor import Examination, Finding, SensorFinding
from edgeq.doctor.profile import profile as doctor_profile
from edgeq.errors import InputError
from edgeq.records import Profile
from edgeq.sensors import ina
from tests.sysroots import jetson
from tests.sysroots.boards import MACHINES, board, pc
from tests.sysroots.machine import Machine

SHELF = profiles.names()
# What CUDA's own table of compute capabilities says of each chip.
CUDA_ARCH = {"T210": 53, "T194": 72, "T234": 87, "T264": 110}


def access_to(tmp_path: Path, name: str | None) -> Access:
    """The machine of this name; None is one that says nothing."""
    machine = Machine(tmp_path)
    if name is not None:
        MACHINES[name](machine)
    return machine.access(platform="darwin" if name == "macbook-m-series" else "linux")


@pytest.mark.parametrize("name", SHELF)
def test_every_figure_has_its_source(name: str) -> None:
    profile = profiles.load(name)
    assert profile.name == name
    memory, gpu = profile.memory, profile.gpu
    assert memory is None or (memory.kind and memory.gb_s and memory.source)
    assert gpu is None or gpu.gb_s is None or gpu.source
    assert profile.price is None or profile.price.source
    assert profile.thermal is None or profile.thermal.source
    if gpu and gpu.cuda_arch:
        assert CUDA_ARCH[profile.soc.split("(")[1].rstrip(")")] == gpu.cuda_arch
    if profile.backend == "cuda":
        assert gpu


def test_every_profile_that_can_be_recognized_has_a_machine() -> None:
    assert {name for name in SHELF if profiles.load(name).match} == set(MACHINES)


@pytest.mark.parametrize("name", MACHINES)
def test_a_machine_is_its_own_profile_and_no_other(name: str, tmp_path: Path) -> None:
    access = access_to(tmp_path, name)
    assert profiles.detect(access) == name
    assert profiles.differences(profiles.load(name), access) == ()


def test_a_machine_that_says_nothing_is_none(tmp_path: Path) -> None:
    assert profiles.detect(access_to(tmp_path, None)) is None
    pc(Machine(tmp_path), "Intel(R) Xeon(R) Gold 6338", 2, 8_000_000, chassis=1)
    assert profiles.detect(access_to(tmp_path, None)) is None


def test_the_nearest_memory_decides(tmp_path: Path) -> None:
    access = access_to(tmp_path, "rpi4-4gb")
    Machine(tmp_path).file("proc/meminfo", "MemTotal:  1900000 kB\n")
    assert profiles.detect(access) == "rpi4-4gb"
    (found,) = profiles.differences(profiles.load("rpi4-4gb"), access)
    assert found.text == "memory: 1.8 GiB, the profile is for 4 GiB"


def test_power_modes_tell_a_super_on_a_carrier_that_does_not_say_so(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    board(machine, "jetson-orin-nano-super-8gb")
    machine.file("proc/device-tree/compatible", "acme,carrier\0nvidia,p3767-0005\0nvidia,tegra234\0")
    assert profiles.detect(machine.access()) == "jetson-orin-nano-super-8gb"
    board(machine, "jetson-orin-nano-8gb")
    machine.file("proc/device-tree/compatible", "acme,carrier\0nvidia,p3767-0005\0nvidia,tegra234\0")
    assert profiles.detect(machine.access()) == "jetson-orin-nano-8gb"
    (found,) = profiles.differences(profiles.load("jetson-orin-nano-super-8gb"), machine.access())
    assert found.expected == "one that has 25W, MAXN_SUPER"


def test_differences_are_named(tmp_path: Path) -> None:
    def named(profile: str, access: Access) -> dict[str, tuple[str, str]]:
        return {d.what: (d.expected, d.found) for d in profiles.differences(profiles.load(profile), access)}

    pi = access_to(tmp_path, "rpi5-8gb")
    assert named("orange-pi-5-16gb", pi) == {
        "board": ("Orange Pi 5", "Raspberry Pi 5 Model B Rev 1.0"),
        "cores": ("8", "4"),
        "memory": ("16 GiB", "7.9 GiB"),
    }
    assert named("n100-16gb", pi)["architecture"] == ("x86_64", "aarch64")
    assert named("generic-cpu", pi) == {}


@pytest.mark.parametrize("name", MACHINES)
def test_a_draft_can_be_read_back_and_is_this_machine(name: str, tmp_path: Path) -> None:
    access, known = access_to(tmp_path, name), profiles.load(name)
    file = tmp_path / "my.yaml"
    file.write_text(profiles.draft(access), encoding="utf-8")
    drafted = profiles.load(str(file))
    assert profiles.differences(drafted, access) == ()
    assert drafted.match and drafted.target == known.target
    assert (drafted.price, drafted.thermal, drafted.power_channel) == (None, None, None)
    assert drafted.memory and drafted.memory.gb_s is None
    if known.memory:
        assert drafted.memory.gib == known.memory.gib
        assert drafted.isa == known.isa
    if known.cores and known.target == "aarch64-linux-gnu":
        assert [(c.name, c.count) for c in drafted.cores] == [(c.name, c.count) for c in known.cores]


def test_a_draft_of_a_pc_counts_cores_and_names_the_card(tmp_path: Path) -> None:
    file = tmp_path / "my.yaml"
    file.write_text(profiles.draft(access_to(tmp_path, "desktop-nvidia")), encoding="utf-8")
    drafted = profiles.load(str(file))
    assert (drafted.n_cores, drafted.isa) == (12, "x86-64-v4")
    assert drafted.gpu
    assert (drafted.gpu.name, drafted.gpu.cuda_arch, drafted.gpu.gib) == ("NVIDIA GeForce RTX 4090", 89, 24)


@pytest.mark.parametrize(
    ("text", "sentence", "hint"),
    [
        ("name: x\nmemory: {gib: 8, gbs: 17}", "unknown field `gbs`", "Did you mean gb_s?"),
        ("name: x\nmemory: {gib: 0}", "$.memory.gib", ""),
        ("name: x\nprice: {amount: 9, currency: EUR, date: last year}", "$.price.date", ""),
        ("name: x\nlike: rpi5-8bg", "there is no profile rpi5-8bg", "Did you mean rpi5-8gb?"),
        ("name: x\nlike: rpi5-8gb\nn_threads: 6", "6 threads on 4 cores", "Correct"),
        ("name: x\nmemory: {gib: 4, system_gib: 5}", "leaves nothing", "keep"),
        ("name: x\ntarget: x86_64-linux-gnu\nisa: armv8-a", "armv8-a", "Correct"),
    ],
    ids=["key", "size", "date", "like", "threads", "system", "isa"],
)
def test_what_can_not_be_is_said_in_one_sentence(text: str, sentence: str, hint: str, tmp_path: Path) -> None:
    file = tmp_path / "my.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as raised:
        profiles.load(str(file))
    assert raised.value.exit_code == 3
    assert sentence in raised.value.text and hint in raised.value.hint


def test_the_command_lists_shows_and_drafts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    access = access_to(tmp_path, "rpi5-8gb")
    monkeypatch.setattr("edgeq.access.Access", lambda: access)

    def said(*argv: str) -> str:
        done = CliRunner().invoke(cli, ["profiles", *argv], catch_exceptions=False)
        assert done.exit_code == 0
        return done.output

    listed = said()
    assert all(name in listed for name in SHELF)
    assert [words[1] for words in map(str.split, listed.splitlines()) if words[:1] == ["*"]] == ["rpi5-8gb", "is"]
    as_json = msgspec.json.decode(said("--json"))
    assert (as_json["here"], len(as_json["profiles"])) == ("rpi5-8gb", len(SHELF))
    shown = said("show", "rpi5-8gb")
    assert "17.1 GB/s (32 bit x 4267 MT/s / 8" in shown and "pi_pmic board, corrected" in shown
    assert msgspec.json.decode(said("show", "rpi5-8gb", "--json"), type=Profile) == profiles.load("rpi5-8gb")
    file = tmp_path / "new.yaml"
    assert str(file) in said("draft", "--out", str(file))
    assert file.read_text("utf-8") == said("draft")
    again = CliRunner().invoke(cli, ["profiles", "draft", "--out", str(file)])
    assert isinstance(again.exception, InputError) and "there already" in again.exception.text


def test_the_doctor_compares_the_machine_with_the_profile(tmp_path: Path) -> None:
    access = access_to(tmp_path, "jetson-orin-nano-8gb")
    (found,) = doctor_profile(access, ())
    assert found.ok and "jetson-orin-nano-8gb" in found.hint
    (none,) = doctor_profile(access_to(tmp_path / "nothing", None), ())
    assert not none.ok and "edgeq profiles draft" in none.hint

    def of(name: str, sensors: tuple[SensorFinding, ...] = ()) -> list[tuple[str, bool, str]]:
        given = msgspec.structs.replace(profiles.load(name))
        there = Machine(tmp_path).access(profile=given)
        return [(f.name, f.ok, f.text + f.hint) for f in doctor_profile(there, sensors)]

    match, channel = of("jetson-orin-nano-8gb")
    assert match[:2] == ("profile", True)
    assert channel[:2] == ("power channel", False) and "No sensor gives power" in channel[2]
    match, _ = of("rpi5-8gb")
    assert not match[1] and "board" in match[2] and "--profile jetson-orin-nano-8gb" in match[2]


def test_the_doctor_finds_the_power_channel_of_the_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(tmp_path)
    board(machine, "jetson-orin-nano-super-8gb")
    jetson.orin_nano(machine)
    monkeypatch.setattr("edgeq.access.Access", lambda profile: machine.access(profile=profile))
    done = CliRunner().invoke(cli, ["doctor", "--profile", "jetson-orin-nano-super-8gb", "--json"])
    found = {f.name: f for f in msgspec.json.decode(done.output, type=Examination).software}
    assert found["profile"].ok
    assert found["power channel"] == Finding("power channel", True, "ina VDD_IN")


@pytest.mark.parametrize(
    ("build", "name"),
    [(jetson.nano, "jetson-nano-4gb"), (jetson.xavier_nx, "jetson-xavier-nx-8gb"), (jetson.thor, "jetson-thor-128gb")],
)
def test_the_power_channel_is_one_that_the_sensor_gives(
    build: Callable[[Machine], None], name: str, tmp_path: Path
) -> None:
    machine = Machine(tmp_path)
    build(machine)
    channels = {f"ina {c.name}" for c in ina.probe(machine.access()).channels}
    assert profiles.load(name).power_channel in channels


def test_a_host_has_the_name_of_its_board(tmp_path: Path) -> None:
    assert device.host(tmp_path).board is None
    access_to(tmp_path, "n100-16gb")
    assert device.host(tmp_path).board is None  # its maker has filled in nothing
    access_to(tmp_path, "x86-laptop")
    assert device.host(tmp_path).board == "Laptop 13 (AMD Ryzen 7040Series)"
    access_to(tmp_path, "rpi5-8gb")
    assert device.host(tmp_path).board == "Raspberry Pi 5 Model B Rev 1.0"
