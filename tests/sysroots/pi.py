"""Raspberry Pi 5 and 4: the firmware behind ``/dev/vcio_gencmd``, and the hwmon device that everybody may read.

Rails, indices with gaps and most values are those of a dump under load (github.com/jfikar/RPi5-power); the core's power
when idle and decoding was measured by others on the same board (0.39 W at 0.75 V, 3.27 W at 0.89 V).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from types import SimpleNamespace

from tests.sysroots.machine import Machine, State, state

# name: (index of the current, amperes, index of the voltage, volts)
RAILS: dict[str, tuple[int, float, int, float]] = {
    "3V7_WL_SW": (0, 0.0, 8, 3.799996),
    "3V3_SYS": (1, 0.06245952, 9, 3.306322),
    "1V8_SYS": (2, 0.1610285, 10, 1.798289),
    "DDR_VDD2": (3, 0.00780744, 11, 1.102929),
    "DDR_VDDQ": (4, 0.0, 12, 0.6047613),
    "1V1_SYS": (5, 0.1756674, 13, 1.104394),
    "0V8_SW": (6, 0.3279125, 14, 0.8025633),
    "VDD_CORE": (7, 10.87674, 15, 0.8974594),
    "3V3_DAC": (17, 0.0003663, 20, 3.304942),
    "3V3_ADC": (18, 0.00042735, 21, 3.302194),
    "0V8_AON": (16, 0.00579975, 19, 0.7973619),
    "HDMI": (22, 0.0136752, 23, 5.07056),
}
CORE: dict[State, tuple[float, float]] = {
    "idle": (0.52, 0.75),
    "prefill": (10.87674, 0.8974594),
    "decode": (3.67415730, 0.89),
}
NO_CURRENT = "     EXT5V_V volt(24)=5.06788000V\n      BATT_V volt(25)=3.01110800V\n"
# Currents scatter by this share of themselves, so that no two readings are equal.
RIPPLE = 1e-3
CLOCK_HZ: dict[State, int] = {"idle": 1_500_000_000, "prefill": 2_400_002_560, "decode": 2_400_002_560}

_OTHERS_W = sum(a * v for name, (_, a, _, v) in RAILS.items() if name != "VDD_CORE")
_RAILS_W: dict[State, float] = {s: a * v + _OTHERS_W for s, (a, v) in CORE.items()}
# By scope; the board's are those of the published fit.
WATTS: dict[str, dict[State, float]] = {
    "rail": _RAILS_W,
    "board": {s: 1.1451 * w + 0.5879 for s, w in _RAILS_W.items()},
}

Answer = Callable[[float], str]


def pi5(machine: Machine, throttled: Callable[[float], int] = lambda t: 0) -> None:
    """A Raspberry Pi 5 that never throttles, or as ``throttled`` says."""
    firmware(
        machine,
        {
            "pmic_read_adc": dump,
            "get_throttled": lambda t: f"throttled={throttled(t):#x}\n",
            "measure_clock arm": lambda t: f"frequency(0)={CLOCK_HZ[state(t)]}\n",
        },
    )
    _hwmon(machine, throttled)


def pi4(machine: Machine, throttled: Callable[[float], int] = lambda t: 0x50000) -> None:
    """A Raspberry Pi 4: no current sensing. By default the voltage was too low some time since it was started."""
    firmware(
        machine,
        {
            "pmic_read_adc": lambda t: NO_CURRENT,
            "get_throttled": lambda t: f"throttled={throttled(t):#x}\n",
            "measure_clock arm": lambda t: f"frequency(48)={CLOCK_HZ[state(t)]}\n",
        },
    )
    _hwmon(machine, throttled)


def dump(t_s: float) -> str:
    """What ``vcgencmd pmic_read_adc`` prints."""
    now = {**RAILS, "VDD_CORE": (7, CORE[state(t_s)][0], 15, CORE[state(t_s)][1])}
    scatter = 1 + RIPPLE * math.sin(1000 * t_s)
    amperes = "".join(f"{name + '_A':>12} current({i})={a * scatter:.8f}A\n" for name, (i, a, _, _) in now.items())
    volts = "".join(f"{name + '_V':>12} volt({j})={v:.8f}V\n" for name, (_, _, j, v) in now.items())
    return amperes + volts + NO_CURRENT


def firmware(machine: Machine, answers: dict[str, Answer]) -> None:
    """A mailbox that answers these commands, and takes no message that the kernel would refuse."""

    def ioctl(file: object, request: int, message: bytearray) -> int:
        assert request == (0xC0086400 if struct.calcsize("P") == 8 else 0xC0046400)
        size, status, tag, value_bytes, request_bytes, error = struct.unpack_from("<6I", message)
        assert (size, status, tag, value_bytes) == (len(message), 0, 0x00030080, 1024)
        assert (request_bytes, error) == (0, 0)
        command = bytes(message[24:-4]).split(b"\0")[0].decode()
        known = command in answers
        answer = answers[command](machine.t_s) if known else 'error=1 error_msg="Command not registered"'
        struct.pack_into("<2I", message, 4, 0x80000000, tag)
        struct.pack_into("<I", message, 20, 0 if known else 1)
        message[24:-4] = answer.encode().ljust(1024, b"\0")
        return 0

    machine.file("dev/vcio_gencmd", "")
    machine.file("dev/vcio", "")
    machine.deny("dev/vcio")
    machine.modules["fcntl"] = SimpleNamespace(ioctl=ioctl)


def _hwmon(machine: Machine, throttled: Callable[[float], int]) -> None:
    machine.file("sys/class/hwmon/hwmon0/name", "cpu_thermal\n")
    machine.file("sys/class/hwmon/hwmon2/name", "rpi_volt\n")
    # The driver clears the bit when it asks, every 2 s, so that it shows what has happened since.
    machine.file("sys/class/hwmon/hwmon2/in0_lcrit_alarm", lambda t: f"{throttled(t // 2 * 2) & 1}\n")
