"""Machines that differ in how they account for memory: control groups of version 2, of version 1, of both, of none.

The measured process loads a model at `LOADED_S` and is gone at `DONE_S`. Formats as the kernel writes them:
Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst and filesystems/proc.rst; the hybrid one was seen on a
virtual machine with Linux 6.18.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.sysroots.machine import DONE_S, IDLE_S, LOAD_S, Machine

PID = 4242
MIB = 1 << 20
TOTAL = 8192 * MIB
OTHERS = 1000 * MIB  # what the other processes of the group have
ANON, SHARED, SWAPPED, FILE = 300 * MIB, 20 * MIB, 5 * MIB, 2000 * MIB
EARLIER_PEAK = 1500 * MIB  # of the group, before anything was measured
LOADED_S = IDLE_S + LOAD_S
SCOPE = "/user.slice/user-1000.slice/session-2.scope"


def group_bytes(t_s: float) -> int:
    """What the group of the measured process uses."""
    return OTHERS + (ANON + SHARED + FILE if LOADED_S <= t_s < DONE_S else 0)


def group_peak(t_s: float) -> int:
    """The highest value so far, since the group was made."""
    return max(EARLIER_PEAK, group_bytes(t_s), group_bytes(LOADED_S) if t_s >= LOADED_S else 0)


def _text(value: Callable[[float], int]) -> Callable[[float], str]:
    return lambda t_s: f"{value(t_s)}\n"


def bare(machine: Machine) -> None:
    """/proc only, as where the controller is switched off (Raspberry Pi OS)."""

    def meminfo(t_s: float) -> str:
        used = group_bytes(t_s) // 1024
        return (
            f"MemTotal:       {TOTAL // 1024} kB\nMemFree:        100 kB\nMemAvailable:   {TOTAL // 1024 - used} kB\n"
        )

    def status(t_s: float) -> str:
        if not IDLE_S <= t_s < DONE_S:
            raise FileNotFoundError(2, "No such file or directory")
        return (
            "Name:\tedgeq-bench\nVmHWM:\t 2420000 kB\nVmRSS:\t 2377728 kB\n"
            f"RssAnon:\t{ANON // 1024} kB\nRssFile:\t{FILE // 1024} kB\nRssShmem:\t{SHARED // 1024} kB\n"
            f"VmSwap:\t{SWAPPED // 1024} kB\nThreads:\t4\n"
        )

    machine.file("proc/meminfo", meminfo)
    machine.file("proc/self/status", "Name:\tpython\nRssAnon:\t 90000 kB\nRssFile:\t 30000 kB\nVmSwap:\t 0 kB\n")
    machine.file(f"proc/{PID}/status", status)


def _member(machine: Machine, text: str) -> None:
    for pid in ("self", PID):
        machine.file(f"proc/{pid}/cgroup", text)


def v2(machine: Machine, *, keeps_peak: bool = True) -> None:
    """Version 2 only. The root group has no memory files; memory.peak is of Linux 5.19."""
    bare(machine)
    _member(machine, f"0::{SCOPE}\n")
    machine.file(f"sys/fs/cgroup{SCOPE}/memory.current", _text(group_bytes))
    if keeps_peak:
        machine.file(f"sys/fs/cgroup{SCOPE}/memory.peak", _text(group_peak))


def v1(machine: Machine) -> None:
    """Version 1 only, with several controllers on one mount."""
    bare(machine)
    _member(machine, f"11:cpu,cpuacct:/\n4:memory:{SCOPE}\n1:name=systemd:{SCOPE}\n")
    machine.file("sys/fs/cgroup/memory/memory.usage_in_bytes", str(5 * TOTAL))
    machine.file("sys/fs/cgroup/memory/memory.max_usage_in_bytes", str(5 * TOTAL))
    machine.file(f"sys/fs/cgroup/memory{SCOPE}/memory.usage_in_bytes", _text(group_bytes))
    machine.file(f"sys/fs/cgroup/memory{SCOPE}/memory.max_usage_in_bytes", _text(group_peak))


def hybrid(machine: Machine) -> None:
    """Memory on version 1, while version 2 is mounted beside it without any controller."""
    v1(machine)
    machine.file("sys/fs/cgroup/unified/cgroup.controllers", "")
    _member(machine, f"9:name=systemd:/\n4:memory:{SCOPE}\n1:cpu:/\n0::/\n")


def root_group(machine: Machine) -> None:
    """A process that nobody has put into a group; version 1 has the counters of the whole machine there."""
    v1(machine)
    _member(machine, "4:memory:/\n0::/\n")


def container(machine: Machine) -> None:
    """The path is the host's, the mount shows the container's own group alone."""
    bare(machine)
    _member(machine, "4:memory:/docker/0123456789abcdef\n")
    machine.file("sys/fs/cgroup/memory/memory.usage_in_bytes", _text(group_bytes))
    machine.file("sys/fs/cgroup/memory/memory.max_usage_in_bytes", _text(group_peak))


def jetson(machine: Machine) -> None:
    """L4T's kernel tells what the GPU has of the shared memory."""
    v2(machine)
    plain = machine.live[machine.root / "proc/meminfo"]
    machine.file("proc/meminfo", lambda t_s: f"{plain(t_s)!s}NvMapMemFree:     12 kB\nNvMapMemUsed:   512000 kB\n")
