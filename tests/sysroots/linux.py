"""What the kernel shows on most machines: hardware monitors, thermal zones, clocks; a plain PC and a Raspberry Pi 4."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping

from tests.sysroots.machine import Content, Machine, State, state

Number = float | Callable[[float], float]

# °C and Hz of both machines.
CELSIUS: dict[State, float] = {"idle": 41.0, "prefill": 78.5, "decode": 74.0}
CLOCK_HZ: dict[State, float] = {"idle": 800e6, "prefill": 3.6e9, "decode": 3.9e9}


def raises(number: int) -> Callable[[float], str]:
    """A file that cannot be read for this reason (ENODATA: switched off; EAGAIN: without power)."""

    def read(t_s: float) -> str:
        raise OSError(number, errno.errorcode[number])

    return read


def numbered(machine: Machine, pattern: str, files: Mapping[str, Content]) -> str:
    """A folder ``pattern`` with the next free number. Returns its path."""
    path = f"{pattern}{len(list(machine.root.glob(pattern + '*')))}"
    for name, content in files.items():
        machine.file(f"{path}/{name}", content)
    return path


def hwmon(machine: Machine, name: str, files: Mapping[str, Content]) -> str:
    """A hardware monitor."""
    return numbered(machine, "sys/class/hwmon/hwmon", {"name": f"{name}\n", **files})


def zone(machine: Machine, kind: str, celsius: Number | Callable[[float], str]) -> str:
    """A thermal zone; a text stands for itself."""

    def temp(t_s: float) -> str:
        value = celsius(t_s) if callable(celsius) else celsius
        return value if isinstance(value, str) else f"{round(value * 1000)}\n"

    return numbered(machine, "sys/class/thermal/thermal_zone", {"type": f"{kind}\n", "temp": temp})


def cooling(machine: Machine, kind: str, level: Number = 0) -> str:
    """A cooling device and its state."""
    files: dict[str, Content] = {
        "type": f"{kind}\n",
        "max_state": "10\n",
        "cur_state": lambda t: f"{round(level(t) if callable(level) else level)}\n",
    }
    return numbered(machine, "sys/class/thermal/cooling_device", files)


def policy(machine: Machine, number: int, hertz: Callable[[float], float]) -> None:
    """Cores that share a clock."""
    path = f"sys/devices/system/cpu/cpufreq/policy{number}"
    machine.file(f"{path}/scaling_cur_freq", lambda t: f"{round(hertz(t) / 1e3)}\n")


def throttled(
    machine: Machine, core: Callable[[int, float], tuple[int, float]], package: Callable[[float], tuple[int, float]]
) -> None:
    """Two cores with two threads each; ``core`` and ``package`` give events and seconds since boot."""
    for cpu in range(4):
        path = f"sys/devices/system/cpu/cpu{cpu}"
        machine.file(f"{path}/topology/physical_package_id", "0\n")
        machine.file(f"{path}/topology/core_id", f"{cpu % 2}\n")
        for level, now in (("core", lambda t, i=cpu % 2: core(i, t)), ("package", package)):
            files = f"{path}/thermal_throttle/{level}_throttle"
            machine.file(f"{files}_count", lambda t, f=now: f"{f(t)[0]}\n")
            machine.file(f"{files}_total_time_ms", lambda t, f=now: f"{round(f(t)[1] * 1000)}\n")


def pc(machine: Machine) -> None:
    """An Intel PC with a fan that runs, cores that are not slowed down, and a zone that shows the package."""
    zone(machine, "acpitz", 27.8)
    zone(machine, "x86_pkg_temp", lambda t: CELSIUS[state(t)])
    hwmon(machine, "coretemp", {"temp1_label": "Package id 0\n", "temp1_input": "41000\n"})
    for _ in range(4):
        cooling(machine, "Processor")
    cooling(machine, "Fan", 3)
    cooling(machine, "TCC Offset", 5)
    cooling(machine, "intel_powerclamp", -1)
    for cpu in range(4):
        policy(machine, cpu, lambda t: CLOCK_HZ[state(t)])
    throttled(machine, lambda i, t: (0, 0.0), lambda t: (0, 0.0))


def pi4(machine: Machine) -> None:
    """A Raspberry Pi 4 as the kernel shows it: one zone, one clock, no power."""
    zone(machine, "cpu-thermal", lambda t: CELSIUS[state(t)])
    cooling(machine, "cpufreq-cpu0")
    policy(machine, 0, lambda t: CLOCK_HZ[state(t)])
