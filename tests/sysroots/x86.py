"""Machines with x86 processors: RAPL through powercap or perf, an AMD APU, a laptop on its battery.

Zone names, ranges and the first value of the package are recorded ones (262143328850 µJ on Intel, 65532610987 on AMD).
"""

from __future__ import annotations

import ctypes
import errno
import math
import struct
from collections.abc import Callable
from types import SimpleNamespace

from tests.sysroots.machine import DECODE_S, Machine, State, energy, state

INTEL_RANGE_UJ = 262_143_328_850
AMD_RANGE_UJ = 65_532_610_987
RECORDED_UJ = 52_649_883_221

# By scope, and within the package by domain.
INTEL: dict[str, dict[State, float]] = {
    "package": {"idle": 3.0, "prefill": 28.0, "decode": 22.0},
    "core": {"idle": 1.0, "prefill": 24.0, "decode": 17.0},
    "uncore": {"idle": 0.25, "prefill": 0.25, "decode": 0.25},
    "board": {"idle": 7.5, "prefill": 38.0, "decode": 31.0},
}
SERVER: dict[str, dict[State, float]] = {
    "package": {"idle": 40.0, "prefill": 180.0, "decode": 150.0},
    "dram": {"idle": 4.0, "prefill": 12.0, "decode": 20.0},
}
APU: dict[str, dict[State, float]] = {
    "package": {"idle": 4.0, "prefill": 35.0, "decode": 27.0},
    "core": {"idle": 0.5, "prefill": 20.0, "decode": 11.0},
}
VRAM_BYTES: dict[State, int] = {"idle": 512 << 20, "prefill": 2560 << 20, "decode": 2560 << 20}
CARD: dict[str, dict[State, float]] = {"gpu": {"idle": 12.0, "prefill": 210.0, "decode": 160.0}}
BATTERY: dict[str, dict[State, float]] = {"board": {"idle": 6.0, "prefill": 34.0, "decode": 28.0}}
# Noise, so that no two updates are equal. It cancels.
RIPPLE_W = 0.001


def zone(
    machine: Machine,
    folder: str,
    name: str,
    watts: dict[State, float],
    *,
    range_uj: int = INTEL_RANGE_UJ,
    start_uj: int = RECORDED_UJ,
    limits_w: tuple[float, ...] = (),
) -> None:
    """A powercap zone whose counter stood at ``start_uj`` at time 0."""
    path = f"sys/class/powercap/{folder}"
    machine.file(f"{path}/name", f"{name}\n")
    machine.file(f"{path}/max_energy_range_uj", f"{range_uj}\n")
    machine.file(f"{path}/energy_uj", lambda t: f"{(start_uj + round(energy(t, watts) * 1e6)) % (range_uj + 1)}\n")
    for i, limit_w in enumerate(limits_w):
        machine.file(f"{path}/constraint_{i}_power_limit_uw", f"{round(limit_w * 1e6)}\n")


def intel_client(machine: Machine) -> None:
    """A laptop with a wired psys; the package is shown twice and its counter wraps 20 s into decoding."""
    wraps = INTEL_RANGE_UJ - round(energy(DECODE_S + 20.0, INTEL["package"]) * 1e6)
    limits_w = (15.0, 64.0)
    zone(machine, "intel-rapl:0", "package-0", INTEL["package"], start_uj=wraps, limits_w=limits_w)
    zone(machine, "intel-rapl:0:0", "core", INTEL["core"])
    zone(machine, "intel-rapl:0:1", "uncore", INTEL["uncore"])
    zone(machine, "intel-rapl:1", "psys", INTEL["board"])
    zone(machine, "intel-rapl-mmio:0", "package-0", INTEL["package"], start_uj=wraps, limits_w=limits_w)


def intel_denied(machine: Machine) -> None:
    """The same laptop as its kernel leaves it: only root may read the energy."""
    intel_client(machine)
    for path in machine.root.glob("sys/class/powercap/*/energy_uj"):
        machine.denied.add(path)


def intel_server(machine: Machine) -> None:
    """Two packages, each with cores and memory of its own."""
    for i in range(2):
        half = {d: {s: w / 2 for s, w in watts.items()} for d, watts in SERVER.items()}
        zone(machine, f"intel-rapl:{i}", f"package-{i}", half["package"], limits_w=(125.0,))
        zone(machine, f"intel-rapl:{i}:0", "dram", half["dram"], range_uj=AMD_RANGE_UJ)


def container(machine: Machine, error: int = 0) -> None:
    """No powercap, but perf events for energy; opening them fails with ``error`` where it is not 0."""
    pmu = "sys/bus/event_source/devices/power"
    machine.file(f"{pmu}/type", "24\n")
    machine.file(f"{pmu}/cpumask", "0,8\n")
    for event, config in (("energy-pkg", 2), ("energy-cores", 1), ("energy-psys", 5)):
        machine.file(f"{pmu}/events/{event}", f"event={config:#04x}\n")
        machine.file(f"{pmu}/events/{event}.scale", "2.3283064365386962890625e-10\n")
        machine.file(f"{pmu}/events/{event}.unit", "Joules\n")
    watts = {1: INTEL["core"], 2: INTEL["package"], 5: INTEL["board"]}
    opened: dict[int, tuple[int, float]] = {}

    def syscall(number: int, attr: bytes, pid: int, cpu: int, group: int, flags: int) -> int:
        kind, size, config = struct.unpack_from("<IIQ", attr)
        assert (number, kind, size, pid, group, flags) == (298, 24, len(attr), -1, -1, 8)
        assert cpu in (0, 8)
        if error:
            return -1
        opened[100 + len(opened)] = config, machine.t_s
        return 99 + len(opened)

    def read(fd: int, buffer: ctypes.Array[ctypes.c_char], n_bytes: int) -> int:
        config, since_s = opened[fd]
        # Each of the two packages takes half.
        used_j = (energy(machine.t_s, watts[config]) - energy(since_s, watts[config])) / 2
        buffer.raw = round(used_j * 2**32).to_bytes(n_bytes, "little")
        return n_bytes

    libc = SimpleNamespace(syscall=syscall, read=read, close=opened.pop)
    machine.modules["ctypes"] = SimpleNamespace(
        CDLL=lambda name, use_errno: libc,
        get_errno=lambda: error,
        create_string_buffer=ctypes.create_string_buffer,
    )


def amd_apu(machine: Machine) -> None:
    """An APU, whose graphics driver and RAPL both show the power of the whole package."""
    zone(machine, "intel-rapl:0", "package-0", APU["package"], range_uj=AMD_RANGE_UJ)
    zone(machine, "intel-rapl:0:0", "core", APU["core"], range_uj=AMD_RANGE_UJ)
    _amdgpu(machine, "hwmon4", APU["package"])
    machine.file("sys/class/hwmon/hwmon4/in1_label", "vddnb\n")


def amd_card(machine: Machine, asleep: Callable[[float], bool] = lambda t: False) -> None:
    """A graphics card. While it sleeps, a kernel from 6.15 on refuses readings instead of waking it."""
    _amdgpu(machine, "hwmon5", CARD["gpu"], asleep)


def _amdgpu(
    machine: Machine, hwmon: str, watts: dict[State, float], asleep: Callable[[float], bool] = lambda t: False
) -> None:
    def reading(text: Callable[[float], str]) -> Callable[[float], str]:
        def read(t_s: float) -> str:
            if asleep(t_s):
                raise PermissionError(errno.EPERM, "Operation not permitted")
            return text(t_s)

        return read

    def power(t_s: float) -> str:
        return f"{round((watts[state(t_s)] + RIPPLE_W * math.sin(1000 * t_s)) * 1e6)}\n"

    path = f"sys/class/hwmon/{hwmon}"
    machine.file(f"{path}/name", "amdgpu\n")
    machine.file(f"{path}/power1_average", reading(power))
    machine.file(f"{path}/temp1_input", reading(lambda t: "47000\n"))
    machine.file(f"{path}/freq1_input", reading(lambda t: "2200000000\n"))
    machine.file(f"{path}/in0_label", "vddgfx\n")
    machine.file(f"{path}/device/mem_info_vram_used", lambda t: f"{VRAM_BYTES[state(t)]}\n")
    machine.file(f"{path}/device/power/runtime_status", lambda t: "suspended\n" if asleep(t) else "active\n")


def laptop_battery(machine: Machine, discharging: bool = True, plugged_at_s: float = float("inf")) -> None:
    """A laptop that runs on its battery, until the charger is plugged in. A mouse has a battery of its own."""

    def charging(t_s: float) -> bool:
        return not discharging or t_s >= plugged_at_s

    def power_uw(t_s: float) -> int:
        return round((BATTERY["board"][state(t_s)] + (RIPPLE_W if int(t_s) % 2 else -RIPPLE_W)) * 1e6)

    def energy_uwh(t_s: float) -> int:
        return round((50e6 - energy(min(t_s, plugged_at_s), BATTERY["board"]) / 3600e-6) / 10_000) * 10_000

    supplies = "sys/class/power_supply"
    machine.file(f"{supplies}/AC/type", "Mains\n")
    machine.file(f"{supplies}/AC/online", lambda t: "1\n" if charging(t) else "0\n")
    machine.file(f"{supplies}/BAT0/type", "Battery\n")
    machine.file(f"{supplies}/BAT0/status", lambda t: "Charging\n" if charging(t) else "Discharging\n")
    machine.file(f"{supplies}/BAT0/power_now", lambda t: f"{power_uw(t)}\n")
    machine.file(f"{supplies}/BAT0/energy_now", lambda t: f"{energy_uwh(t)}\n")
    machine.file(f"{supplies}/hidpp_battery_0/type", "Battery\n")
    machine.file(f"{supplies}/hidpp_battery_0/scope", "Device\n")
    machine.file(f"{supplies}/hidpp_battery_0/status", "Discharging\n")
