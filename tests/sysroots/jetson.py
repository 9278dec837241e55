"""NVIDIA's Jetsons as their kernels show them: power monitors, over-current counters, zones, clocks.

Rails, shunts and voltages are those of the device trees and of recorded readings. Power is whole steps of the chip: the
currents are steps of 40 µV over the shunt, the voltages steps of 8 mV.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import NamedTuple

from tests.sysroots.linux import cooling, hwmon, policy, raises, zone
from tests.sysroots.machine import Content, Machine, State, state

# W of the widest total of each, worked out by hand from the steps below.
WATTS: dict[str, dict[State, float]] = {
    "nano": {"idle": 2.0, "prefill": 8.0, "decode": 7.0},
    "tx2": {"idle": 3.8, "prefill": 11.4, "decode": 9.5},
    "xavier_nx": {"idle": 3.0, "prefill": 12.0, "decode": 10.0},
    "agx_xavier": {"idle": 3.04, "prefill": 16.8, "decode": 13.912},
    "orin_nano": {"idle": 4.7616, "prefill": 13.888, "decode": 11.904},
    "agx_orin": {"idle": 7.65584, "prefill": 35.8144, "decode": 26.06304},
    "thor": {"idle": 22.0, "prefill": 72.0, "decode": 58.0},
}
GPU_HZ: dict[State, float] = {"idle": 306e6, "prefill": 1.02e9, "decode": 918e6}
_CPU_HZ: dict[State, float] = {"idle": 729.6e6, "prefill": 1.728e9, "decode": 1.728e9}
_CELSIUS: dict[State, float] = {"idle": 46.5, "prefill": 63.625, "decode": 61.0}
_STATES: tuple[State, ...] = ("idle", "prefill", "decode")

Events = Callable[[float], tuple[int, int, int]]


class Rail(NamedTuple):
    """A channel: its steps of current when idle, in prefill and in decode."""

    label: str | None
    millivolts: int
    shunt_microohms: int
    steps: tuple[int, int, int]


def ina3221(machine: Machine, *rails: Rail | None) -> str:
    """The mainline driver. None: a channel that is switched off, whose label the device tree does not give."""
    files: dict[str, Content] = {"in7_label": "sum of shunt voltages\n", "in7_input": "760\n", "curr4_input": "380\n"}
    for n, rail in enumerate(rails, start=1):
        for name in (f"in{n}_input", f"curr{n}_input"):
            files[name] = raises(errno.ENODATA)
        files[f"in{n + 3}_input"] = "280\n"
        for alarm in ("max_alarm", "crit_alarm"):
            files[f"curr{n}_{alarm}"] = "0\n"
        if rail is not None:
            if rail.label is not None:
                files[f"in{n}_label"] = f"{rail.label}\n"
            files[f"shunt{n}_resistor"] = f"{rail.shunt_microohms}\n"
            files[f"in{n}_input"] = f"{rail.millivolts}\n"
            files[f"curr{n}_input"] = lambda t, r=rail: f"{_steps(r, t) * 40_000 // r.shunt_microohms}\n"
    files["samples"] = "1\n"
    files["update_interval"] = "7\n"
    return hwmon(machine, "ina3221", files)


def nano(machine: Machine) -> None:
    """Jetson Nano 4 GB, L4T 32: the iio driver."""
    rails = [("POM_5V_IN", (2000, 8000, 7000)), ("POM_5V_GPU", (0, 4120, 3080)), ("POM_5V_CPU", (400, 1840, 1640))]
    _ina3221x(machine, "6-0040", 0, rails)
    _zones(machine, {"CPU-therm": _warm, "GPU-therm": _warm, "PMIC-Die": 100.0, "thermal-fan-est": 45.0})
    _clocks(machine, "57000000.gpu")


def tx2(machine: Machine) -> None:
    """Jetson TX2 on NVIDIA's carrier, whose input is measured beside that of the module."""
    _ina3221x(
        machine,
        "0-0040",
        0,
        [("VDD_SYS_GPU", (152, 3000, 2400)), ("VDD_SYS_SOC", (380, 900, 800)), ("VDD_4V0_WIFI", (0, 0, 0))],
    )
    _ina3221x(
        machine,
        "0-0041",
        1,
        [("VDD_IN", (2280, 9120, 7600)), ("VDD_SYS_CPU", (304, 2000, 1500)), ("VDD_SYS_DDR", (190, 1300, 1400))],
    )
    _ina3221x(
        machine,
        "0-0042",
        2,
        [("VDD_MUX", (1520, 2280, 1900)), ("VDD_5V0_IO_SYS", (900, 1200, 1000)), ("VDD_3V3_SYS", (300, 300, 300))],
    )
    _clocks(machine, "17000000.gp10b")


def xavier_nx(machine: Machine) -> None:
    """Jetson Xavier NX, L4T 35."""
    _fan(machine)
    ina3221(
        machine,
        Rail("VDD_IN", 5000, 5000, (75, 300, 250)),
        Rail("VDD_CPU_GPU_CV", 5000, 5000, (10, 180, 140)),
        Rail("VDD_SOC", 5000, 5000, (20, 40, 38)),
    )
    _zones(machine, {"CPU-therm": _warm, "GPU-therm": _warm, "PMIC-Die": 100.0})
    _clocks(machine, "17000000.gv11b")


def agx_xavier(machine: Machine) -> None:
    """Jetson AGX Xavier: two chips, six rails, no parent."""
    ina3221(
        machine,
        Rail("GPU", 12000, 5000, (0, 80, 60)),
        Rail("CPU", 12000, 5000, (3, 30, 20)),
        Rail("SOC", 12000, 5000, (10, 20, 18)),
    )
    ina3221(
        machine,
        Rail("CV", 12000, 5000, (0, 0, 0)),
        Rail("VDDRQ", 12000, 5000, (2, 20, 24)),
        Rail("SYS5V", 5000, 5000, (40, 60, 55)),
    )
    _clocks(machine, "17000000.gv11b")


def orin_nano(machine: Machine, events: Events = lambda t: (0, 15, 37)) -> None:
    """Jetson Orin Nano, L4T 36. ``events``: under-voltage, average and instantaneous over-current since boot."""
    _fan(machine)
    ina3221(
        machine,
        Rail("VDD_IN", 4960, 5000, (120, 350, 300)),
        Rail("VDD_CPU_GPU_CV", 4960, 5000, (13, 167, 120)),
        Rail("VDD_SOC", 4960, 5000, (36, 60, 50)),
    )
    _soctherm(machine, events)
    _zones(machine, {"cpu-thermal": _warm, "gpu-thermal": _warm, "cv0-thermal": -256.0, "tj-thermal": _warm})
    zone(machine, "cv1-thermal", raises(errno.EAGAIN))
    for kind in ("cpufreq-cpu0", "cpufreq-cpu4", "devfreq-17000000.gpu", "cpu-throttle-alert", "hot-surface-alert"):
        cooling(machine, kind)
    cooling(machine, "pwm-fan", 3)
    _clocks(machine, "17000000.gpu")


def agx_orin(machine: Machine, events: Events = lambda t: (0, 0, 0)) -> None:
    """Jetson AGX Orin at 19.9 V: steps of 0.4 W. The memory's rail hangs on VIN_SYS_5V0."""
    ina3221(
        machine,
        Rail("VDD_GPU_SOC", 19904, 2000, (6, 60, 40)),
        Rail("VDD_CPU_CV", 19904, 2000, (2, 10, 8)),
        Rail("VIN_SYS_5V0", 4968, 2000, (45, 80, 70)),
    )
    _fan(machine)
    ina3221(machine, Rail("NC", 0, 2000, (0, 0, 0)), Rail("VDDQ_VDD2_1V8AO", 4968, 2000, (11, 30, 25)), None)
    _soctherm(machine, events)
    _usb_power_delivery(machine)
    _zones(machine, {"cpu-thermal": _warm, "gpu-thermal": _warm, "tj-thermal": _warm})
    _clocks(machine, "17000000.ga10b")


def thor(machine: Machine, events: Events = lambda t: (0, 0, 0)) -> None:
    """Jetson AGX Thor: the GPU's rail reads less than nothing when idle, the carrier's INA238 has no label."""
    _usb_power_delivery(machine)
    ina3221(
        machine,
        Rail("VDD_GPU", 12040, 2000, (-1, 100, 70)),
        Rail("VDD_CPU_SOC_MSS", 12040, 2000, (31, 60, 50)),
        Rail("VIN_SYS_5V0", 5088, 2000, (62, 80, 75)),
    )
    hwmon(
        machine,
        "ina238",
        {
            "power1_input": lambda t: f"{round(WATTS['thor'][state(t)] * 1e6)}\n",
            "in1_input": "19950\n",
            "curr1_input": lambda t: f"{round(WATTS['thor'][state(t)] / 19.95 * 1e3)}\n",
            "shunt_resistor": "1000\n",
        },
    )
    _soctherm(machine, events)
    _zones(machine, {"cpu-thermal": _warm, "soc012-thermal": _warm, "tj-thermal": _warm})
    # Without power the GPU has no temperature.
    zone(machine, "gpu-thermal", lambda t: raises(errno.EAGAIN)(t) if state(t) == "idle" else _warm(t))
    for kind in ("cpu-throttle-alert", "gpu-throttle-alert", "soc012-throttle-alert", "devfreq-gpu-gpc-0"):
        cooling(machine, kind)
    _clocks(machine, "gpu-gpc-0", "gpu-nvd-0")


def _steps(rail: Rail, t_s: float) -> int:
    return rail.steps[_STATES.index(state(t_s))]


def _warm(t_s: float) -> float:
    return _CELSIUS[state(t_s)]


def _ina3221x(machine: Machine, address: str, device: int, rails: list[tuple[str, tuple[int, int, int]]]) -> None:
    folder = f"sys/bus/i2c/drivers/ina3221x/{address}/iio:device{device}"
    for k, (label, milliwatts) in enumerate(rails):
        machine.file(f"{folder}/rail_name_{k}", f"{label}\n")
        machine.file(f"{folder}/in_power{k}_input", lambda t, mw=milliwatts: f"{mw[_STATES.index(state(t))]}\n")
        machine.file(f"{folder}/in_voltage{k}_input", "5000\n")
        machine.file(f"{folder}/in_current{k}_input", "1\n")


def _soctherm(machine: Machine, events: Events) -> None:
    files: dict[str, Content] = {}
    for i in range(3):
        files[f"oc{i + 1}_event_cnt"] = lambda t, i=i: f"{events(t)[i]}\n"
        files[f"oc{i + 1}_throt_en"] = "1\n"
    hwmon(machine, "soctherm_oc", files)


def _usb_power_delivery(machine: Machine) -> None:
    """What a charger has been asked for, which is no measurement: 20 V, 3 A."""
    path = "sys/class/power_supply/ucsi-source-psy-1-00081"
    machine.file(f"{path}/type", "USB\n")
    machine.file(f"{path}/online", "1\n")
    machine.file(f"{path}/voltage_now", "20000000\n")
    machine.file(f"{path}/current_now", "3000000\n")
    hwmon(machine, "ucsi_source_psy_1_00081", {"in0_input": "20000\n", "curr1_input": "3000\n"})


def _fan(machine: Machine) -> None:
    hwmon(machine, "pwmfan", {"pwm1": "54\n"})


def _zones(machine: Machine, kinds: dict[str, float | Callable[[float], float]]) -> None:
    for kind, celsius in kinds.items():
        zone(machine, kind, celsius)


def _clocks(machine: Machine, *gpus: str) -> None:
    policy(machine, 0, lambda t: _CPU_HZ[state(t)])
    policy(machine, 4, lambda t: _CPU_HZ[state(t)])
    for gpu in gpus:
        machine.file(f"sys/class/devfreq/{gpu}/cur_freq", lambda t: f"{round(GPU_HZ[state(t)])}\n")
