"""The devices of the profile shelf as their kernels show them: device tree, DMI, processors, memory, power modes.

Compatible strings and models are those of the device trees of Linux and of Jetson Linux; names of power modes those of
NVIDIA's nvpmodel files. A Jetson's memory is the second number of tegrastats in public logs, the other sizes are
typical ones. Of the processors' features only those that matter are in it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tests.sysroots.machine import Machine

_ARMV8 = "fp asimd evtstrm aes pmull sha1 sha2 crc32"
_A72 = "fp asimd evtstrm crc32 cpuid"  # a Raspberry Pi 4 has no cryptographic extension
_CARMEL = f"{_ARMV8} atomics fphp asimdhp cpuid asimdrdm dcpop"
_A76 = f"{_ARMV8} atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"
_A78AE = f"{_A76} uscat ilrcpc flagm paca pacg"
_V3AE = f"{_A78AE} sha3 sha512 sve asimdfhm sve2 sveaes svebitperm svesha3 i8mm svei8mm bf16 svebf16 bti"
_GRACEMONT = (
    "fpu vme de pse tsc msr pae cx8 sse sse2 ht syscall nx lm pni ssse3 fma cx16 sse4_1 sse4_2 movbe popcnt aes xsave "
    "avx f16c rdrand lahf_lm abm bmi1 avx2 bmi2 erms avx_vnni"
)
_ZEN4 = f"{_GRACEMONT} avx512f avx512dq avx512cd avx512bw avx512vl avx512_vnni avx512_bf16"


class Arm(NamedTuple):
    """Cores of one kind, by implementer and part."""

    n_cores: int
    part: str
    features: str
    khz: int
    implementer: str = "0x41"


class Board(NamedTuple):
    """``compatible``: without the NUL behind each; ``modes``: names in nvpmodel.conf in order of their numbers."""

    compatible: tuple[str, ...]
    model: str
    cores: tuple[Arm, ...]
    mem_kib: int
    modes: tuple[str, ...] = ()


def _pi4(mem_kib: int) -> Board:
    names = ("raspberrypi,4-model-b", "brcm,bcm2711")
    return Board(names, "Raspberry Pi 4 Model B Rev 1.5", (Arm(4, "0xd08", _A72, 1_800_000),), mem_kib)


def _pi5(mem_kib: int) -> Board:
    names = ("raspberrypi,5-model-b", "brcm,bcm2712")
    return Board(names, "Raspberry Pi 5 Model B Rev 1.0", (Arm(4, "0xd0b", _A76, 2_400_000),), mem_kib)


def _orin(module: str, carrier: str, model: str, n_cores: int, mem_mib: int, *modes: str, suffix: str = "") -> Board:
    names = (f"nvidia,{carrier}+{module}{suffix}", f"nvidia,{module}", "nvidia,tegra234")
    return Board(names, model, (Arm(n_cores, "0xd42", _A78AE, 1_510_400),), mem_mib * 1024, modes)


BOARDS = {
    "rpi4-4gb": _pi4(3_885_396),
    "rpi4-8gb": _pi4(7_998_552),
    "rpi5-4gb": _pi5(4_146_656),
    "rpi5-8gb": _pi5(8_256_144),
    "rpi5-16gb": _pi5(16_608_976),
    "jetson-nano-4gb": Board(
        ("nvidia,p3449-0000-b00+p3448-0000-b00", "nvidia,jetson-nano", "nvidia,tegra210"),
        "NVIDIA Jetson Nano Developer Kit",
        (Arm(4, "0xd07", _ARMV8, 1_479_000),),
        3956 * 1024,
        ("MAXN", "5W"),
    ),
    "jetson-xavier-nx-8gb": Board(
        ("nvidia,p3449-0000+p3668-0000", "nvidia,p3509-0000+p3668-0000", "nvidia,tegra194"),
        "NVIDIA Jetson Xavier NX Developer Kit",
        (Arm(6, "0x004", _CARMEL, 1_907_200, "0x4e"),),
        7773 * 1024,
        (
            *("MODE_15W_2CORE", "MODE_15W_4CORE", "MODE_15W_6CORE", "MODE_10W_2CORE", "MODE_10W_4CORE"),
            *("MODE_10W_DESKTOP", "MODE_20W_2CORE", "MODE_20W_4CORE", "MODE_20W_6CORE"),
        ),
    ),
    "jetson-orin-nano-8gb": _orin(
        "p3767-0005", "p3768-0000", "NVIDIA Jetson Orin Nano Developer Kit", 6, 7620, "15W", "7W"
    ),
    "jetson-orin-nano-super-8gb": _orin(
        "p3767-0005",
        "p3768-0000",
        "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super",
        6,
        7620,
        *("15W", "25W", "MAXN_SUPER", "7W"),
        suffix="-super",
    ),
    "jetson-orin-nx-16gb": _orin(
        "p3767-0000",
        "p3768-0000",
        "NVIDIA Jetson Orin NX Engineering Reference Developer Kit",
        8,
        15389,
        *("MAXN", "10W", "15W", "25W"),
    ),
    "jetson-agx-orin-64gb": _orin(
        "p3701-0005",
        "p3737-0000",
        "NVIDIA Jetson AGX Orin Developer Kit",
        12,
        62841,
        *("MAXN", "MODE_15W", "MODE_30W", "MODE_50W"),
    ),
    "jetson-thor-128gb": Board(
        ("nvidia,p4071-0000+p3834-0008", "nvidia,p3834-0008", "nvidia,tegra264"),
        "NVIDIA Jetson AGX Thor Developer Kit",
        (Arm(14, "0xd83", _V3AE, 2_601_000),),
        125772 * 1024,
        ("MAXN", "120W", "90W", "70W"),
    ),
    "orange-pi-5-16gb": Board(
        ("xunlong,orangepi-5", "rockchip,rk3588s"),
        "Xunlong Orange Pi 5",
        (Arm(4, "0xd05", _A76, 1_800_000), Arm(4, "0xd0b", _A76, 2_400_000)),
        16_378_000,
    ),
}


def board(machine: Machine, name: str) -> None:
    """A board with a device tree."""
    which = BOARDS[name]
    machine.file("proc/device-tree/compatible", "".join(f"{entry}\0" for entry in which.compatible))
    machine.file("proc/device-tree/model", f"{which.model}\0")
    _memory(machine, which.mem_kib)
    blocks: list[str] = []
    for kind in which.cores:
        for _ in range(kind.n_cores):
            n = len(blocks)
            blocks.append(
                f"processor\t: {n}\nBogoMIPS\t: 108.00\nFeatures\t: {kind.features}\n"
                f"CPU implementer\t: {kind.implementer}\nCPU architecture: 8\nCPU variant\t: 0x0\n"
                f"CPU part\t: {kind.part}\nCPU revision\t: 1\n"
            )
            machine.file(f"sys/devices/system/cpu/cpu{n}/cpufreq/cpuinfo_max_freq", f"{kind.khz}\n")
    machine.file("proc/cpuinfo", "\n".join(blocks) + f"\nModel\t\t: {which.model}\n")
    if which.modes:
        lines = [f"< POWER_MODEL ID={i} NAME={mode} >\nCPU_ONLINE CORE_0 1\n" for i, mode in enumerate(which.modes)]
        machine.file("etc/nvpmodel.conf", "# < POWER_MODEL ID=id_num NAME=mode_name >\n" + "\n".join(lines))


def pc(machine: Machine, cpu: str, n_cores: int, mem_kib: int, *, chassis: int, n_threads: int = 1) -> None:
    """An x86 machine whose maker has filled in nothing but the kind of chassis."""
    dmi = "sys/class/dmi/id"
    machine.file(f"{dmi}/product_name", "Default string\n")
    machine.file(f"{dmi}/board_name", "To Be Filled By O.E.M.\n")
    machine.file(f"{dmi}/sys_vendor", "Default string\n")
    machine.file(f"{dmi}/chassis_type", f"{chassis}\n")
    _memory(machine, mem_kib)
    blocks = [
        f"processor\t: {n}\nvendor_id\t: GenuineIntel\nmodel name\t: {cpu}\n"
        f"physical id\t: 0\ncore id\t\t: {n // n_threads}\nflags\t\t: {_ZEN4 if 'AMD' in cpu else _GRACEMONT}\n"
        for n in range(n_cores * n_threads)
    ]
    machine.file("proc/cpuinfo", "\n".join(blocks))


def n100(machine: Machine) -> None:
    """A mini PC with 16 GB: the graphics have taken some of it."""
    pc(machine, "Intel(R) N100", 4, 16_171_252, chassis=35)


def n150(machine: Machine) -> None:
    """The same with its successor."""
    pc(machine, "Intel(R) N150", 4, 16_171_252, chassis=35)


def laptop(machine: Machine) -> None:
    """A laptop that names itself, with two threads a core."""
    pc(machine, "AMD Ryzen 7 7840U w/ Radeon 780M Graphics", 8, 31_600_000, chassis=10, n_threads=2)
    machine.file("sys/class/dmi/id/product_name", "Laptop 13 (AMD Ryzen 7040Series)\n")


def desktop(machine: Machine) -> None:
    """A tower with a graphics card."""
    pc(machine, "AMD Ryzen 9 7900 12-Core Processor", 12, 65_500_000, chassis=3, n_threads=2)
    machine.commands["nvidia-smi"] = lambda argv: "NVIDIA GeForce RTX 4090, 8.9, 24564\n"


def mac(machine: Machine) -> None:
    """A MacBook Pro; its files are no evidence."""
    answers = {
        "hw.model": "MacBookPro18,3",
        "hw.memsize": f"{16 * 2**30}",
        "machdep.cpu.brand_string": "Apple M1 Pro",
        "hw.perflevel0.name": "Performance",
        "hw.perflevel0.physicalcpu": "6",
        "hw.perflevel1.name": "Efficiency",
        "hw.perflevel1.physicalcpu": "2",
    }
    machine.commands["sysctl"] = lambda argv: answers.get(argv[2])
    machine.commands["uname"] = lambda argv: "arm64\n"


def _of(name: str) -> Callable[[Machine], None]:
    return lambda machine: board(machine, name)


MACHINES: dict[str, Callable[[Machine], None]] = {
    **{name: _of(name) for name in BOARDS},
    "n100-16gb": n100,
    "n150-16gb": n150,
    "x86-laptop": laptop,
    "desktop-nvidia": desktop,
    "macbook-m-series": mac,
}


def _memory(machine: Machine, kib: int) -> None:
    machine.file("proc/meminfo", f"MemTotal:       {kib} kB\nMemFree:        {kib // 2} kB\n")
