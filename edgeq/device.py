"""The host as it is now. The only module that asks about the machine."""

from __future__ import annotations

import os
import platform
import sys
import time
from pathlib import Path
from typing import Literal

import psutil

from edgeq import shell
from edgeq.records import Host

# Features that decide which kernels llama.cpp has for this CPU.
_FEATURES = (
    *("avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vbmi", "avx512_vnni", "avx512_bf16", "avx_vnni"),
    *("amx_int8", "asimd", "asimddp", "asimdhp", "fphp", "i8mm", "bf16", "sve", "sve2", "sme"),
)

# What makers of main boards leave in DMI where a name should be.
_PLACEHOLDERS = {
    *("", "0", "n/a", "none", "unknown", "undefined", "invalid", "empty", "oem", "o.e.m.", "default string"),
    *("to be filled by o.e.m.", "not applicable", "not specified", "all series", "type1productconfigid"),
    *("system manufacturer", "system product name", "base board product name", "x.x"),
}


def host(root: Path = Path("/")) -> Host:
    """Facts about this machine, for the record of everything that is measured on it."""
    cpu, flags = _cpuinfo(root)
    return Host(
        cpu=cpu or platform.processor() or platform.machine(),
        arch=platform.machine(),
        n_cores=physical_cores(),
        n_threads=os.cpu_count() or 1,
        features=tuple(f for f in _FEATURES if f in flags),
        gpu=(),
        os=_os_name(root),
        kernel=platform.release(),
        mem_bytes=psutil.virtual_memory().total,
        governor=_first_line(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        python=platform.python_version(),
        power_mode=_power_mode(root),
        power_supply=_power_supply(),
        swap_used_bytes=psutil.swap_memory().used,
        board=_board(root),
    )


def named(text: str | None) -> str | None:
    """A name that firmware gives, None where its maker has left the field as it was."""
    name = (text or "").strip("\0 \n\t")
    return None if name.lower() in _PLACEHOLDERS else name


def physical_cores() -> int:
    """Cores that this process may use, without their second threads: the default number of threads."""
    logical = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(psutil.cpu_count(logical=False) or logical, logical))


def available_bytes() -> int:
    """Memory that can be had now without swapping."""
    return int(psutil.virtual_memory().available)


def child_pid(guard_pid: int, timeout_s: float = 5.0) -> int | None:
    """Process id of the program that a guard process runs, as soon as it is there; None if it never is."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            if children := psutil.Process(guard_pid).children():
                return children[0].pid
        except psutil.Error:
            return None
        time.sleep(0.005)
    return None


def _power_mode(root: Path) -> str | None:
    """A Jetson's power mode by its name, as its number differs from board to board; else the firmware's profile."""
    if (root / "etc/nvpmodel.conf").exists() and (said := shell.output(["nvpmodel", "-q"])):
        for line in said.splitlines():
            if line.startswith("NV Power Mode:"):
                return line.partition(":")[2].strip()
    return _first_line(root / "sys/firmware/acpi/platform_profile")


def _power_supply() -> Literal["mains", "battery"] | None:
    battery = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
    if battery is None or battery.power_plugged is None:
        return None
    return "mains" if battery.power_plugged else "battery"


def _board(root: Path) -> str | None:
    places = ("proc/device-tree/model", "sys/class/dmi/id/product_name", "sys/class/dmi/id/board_name")
    return next((name for place in places if (name := named(_text(root / place)))), None)


def _cpuinfo(root: Path) -> tuple[str, set[str]]:
    name, flags = "", set[str]()
    for line in _text(root / "proc/cpuinfo").splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "Model", "Hardware") and not name:
            name = value.strip()
        elif key.strip() in ("flags", "Features"):
            flags.update(value.split())
    # ARM boards do not name their CPU there; their device tree names the board.
    board = _text(root / "proc/device-tree/model").strip("\0\n ")
    return name or board, flags


def _os_name(root: Path) -> str:
    for line in _text(root / "etc/os-release").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return f"{platform.system()} {platform.release()}" if sys.platform != "darwin" else f"macOS {platform.mac_ver()[0]}"


def _first_line(path: Path) -> str | None:
    return _text(path).split("\n")[0] or None


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
