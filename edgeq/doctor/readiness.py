"""Whether the machine is at rest and at full clocks: what makes figures of one day unlike those of the next."""

from __future__ import annotations

import os

import psutil

from edgeq import device
from edgeq.access import Access
from edgeq.doctor.finding import Finding

_BUSY = 0.1
_MIB = 2**20


def readiness(access: Access) -> tuple[Finding, ...]:
    """Governor, power mode, power supply, swap, other load, clocks; what can't be known here is left out."""
    host = device.host(access.root)
    cores = os.cpu_count() or 1
    busy = psutil.cpu_percent(interval=1.0) / 100
    findings = [
        Finding(
            "load",
            busy < _BUSY,
            f"other programs keep {busy * cores:.1f} of {cores} processors busy",
            "" if busy < _BUSY else "Close them: they take time and energy that would be put down to the model.",
        )
    ]
    swap = host.swap_used_bytes or 0
    findings.append(
        Finding(
            "swap",
            swap < 64 * _MIB,
            f"{swap / _MIB:.0f} MiB in use",
            "" if swap < 64 * _MIB else "Weights that are swapped out are read back while the time is taken.",
        )
    )
    if host.governor is not None:
        steady = host.governor == "performance"
        hint = "" if steady else "`performance` gives steadier speeds: sudo cpupower frequency-set -g performance"
        findings.append(Finding("governor", steady, host.governor, hint))
    if host.power_mode is not None:
        findings.append(Finding("power mode", True, host.power_mode, "It decides speed and power: name it with them."))
    if host.power_supply is not None:
        mains = host.power_supply == "mains"
        hint = "" if mains else "Clocks may be lower on battery; its own meter works only there."
        findings.append(Finding("supply", mains, host.power_supply, hint))
    return (*findings, *_clocks(access))


def _clocks(access: Access) -> list[Finding]:
    """Whether any core may not reach its highest frequency."""
    lowered = []
    for policy in access.find("sys/devices/system/cpu/cpufreq/policy*"):
        try:
            limit, highest = (access.number(policy / f) for f in ("scaling_max_freq", "cpuinfo_max_freq"))
        except (OSError, ValueError):
            continue
        if limit < highest:
            lowered.append(f"{policy.name} is limited to {limit / 1e6:.2f} of {highest / 1e6:.2f} GHz")
    hint = "A power mode or a setting does this; name it with the figures."
    return [Finding("clocks", False, ", ".join(lowered), hint)] if lowered else []
