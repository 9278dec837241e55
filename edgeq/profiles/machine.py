"""What this machine says of itself, read through `Access`: the part that recognizing and drafting have in common."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property

from edgeq import device
from edgeq.access import Access
from edgeq.records import Core, Gpu

# (implementer, part) as arch/arm64/include/asm/cputype.h of Linux has them.
_ARM_CORES = {
    (0x41, 0xD03): "Cortex-A53",
    (0x41, 0xD05): "Cortex-A55",
    (0x41, 0xD07): "Cortex-A57",
    (0x41, 0xD08): "Cortex-A72",
    (0x41, 0xD09): "Cortex-A73",
    (0x41, 0xD0A): "Cortex-A75",
    (0x41, 0xD0B): "Cortex-A76",
    (0x41, 0xD0C): "Neoverse-N1",
    (0x41, 0xD0D): "Cortex-A77",
    (0x41, 0xD40): "Neoverse-V1",
    (0x41, 0xD41): "Cortex-A78",
    (0x41, 0xD42): "Cortex-A78AE",
    (0x41, 0xD44): "Cortex-X1",
    (0x41, 0xD46): "Cortex-A510",
    (0x41, 0xD47): "Cortex-A710",
    (0x41, 0xD49): "Neoverse-N2",
    (0x41, 0xD4B): "Cortex-A78C",
    (0x41, 0xD4D): "Cortex-A715",
    (0x41, 0xD4F): "Neoverse-V2",
    (0x41, 0xD80): "Cortex-A520",
    (0x41, 0xD81): "Cortex-A720",
    (0x41, 0xD83): "Neoverse-V3AE",
    (0x41, 0xD84): "Neoverse-V3",
    (0x41, 0xD8E): "Neoverse-N3",
    (0x4E, 0x004): "Carmel",
}
# SMBIOS: portable, laptop, notebook, sub-notebook.
_LAPTOPS = {"8", "9", "10", "14"}
_GPU_FIELDS = ("name", "compute_cap", "memory.total")


@dataclass(frozen=True)
class Machine:
    """A machine by its own account; everything that it does not say is empty or None.

    ``compatible``: entries of the device tree, the most specific first. ``dmi``: names that its maker has filled in.
    ``arch``: aarch64, x86_64 or arm64 (macOS). ``mem_gib``: memory that the kernel has, less than what is built in.
    ``cores``: those that are switched on. ``power_modes``: names in nvpmodel.conf, without MODE_.
    """

    access: Access
    compatible: tuple[str, ...]
    model: str | None
    dmi: tuple[str, ...]
    chassis: str | None
    cpu: str | None
    cores: tuple[Core, ...]
    features: frozenset[str]
    arch: str | None
    mem_gib: float | None
    power_modes: frozenset[str]

    @property
    def n_cores(self) -> int | None:
        """Number of cores that are switched on."""
        return sum(c.count for c in self.cores) or None

    @property
    def board(self) -> str | None:
        """What to call it: the device tree's model, else the product's name, else its processor."""
        return self.model or (self.dmi[0] if self.dmi else None) or self.cpu

    @cached_property
    def gpus(self) -> tuple[Gpu, ...]:
        """NVIDIA's cards with their own memory. Asked only when wanted: the driver takes its time to answer."""
        query = f"--query-gpu={','.join(_GPU_FIELDS)}"
        said = self.access.run(["nvidia-smi", query, "--format=csv,noheader,nounits"]) or ""
        rows = [[cell.strip() for cell in line.split(",")] for line in said.splitlines()]
        return tuple(_gpu(*row) for row in rows if len(row) == len(_GPU_FIELDS))


def machine(access: Access) -> Machine:
    """Read what can be read. Never raises."""
    if access.platform == "darwin":
        return _mac(access)
    blocks = _blocks(access.try_text(access.root / "proc/cpuinfo") or "")
    tree = access.root / "proc/device-tree"
    dmi = access.root / "sys/class/dmi/id"
    named = (device.named(access.try_text(dmi / f)) for f in ("product_name", "board_name", "sys_vendor"))
    texts = [b.get("Features") or b.get("flags") or "" for b in blocks]
    features = frozenset(texts[0].split()).intersection(*(t.split() for t in texts)) if texts else frozenset[str]()
    names = [b["model name"] for b in blocks if "model name" in b]
    return Machine(
        access=access,
        compatible=tuple(e for e in (access.try_text(tree / "compatible") or "").split("\0") if e),
        model=device.named(access.try_text(tree / "model")),
        dmi=tuple(name for name in named if name),
        chassis="chassis laptop" if access.try_text(dmi / "chassis_type") in _LAPTOPS else None,
        cpu=names[0] if names else None,
        cores=_cores(access, blocks),
        features=features,
        arch=_arch(features),
        mem_gib=_mem_gib(access.try_text(access.root / "proc/meminfo") or ""),
        power_modes=_power_modes(access.try_text(access.root / "etc/nvpmodel.conf") or ""),
    )


def mode_name(name: str) -> str:
    """A power mode as releases of Jetson Linux agree on it: MODE_30W and 30W are one."""
    return name.strip().upper().removeprefix("MODE_")


def _blocks(cpuinfo: str) -> list[dict[str, str]]:
    """The processors in ``/proc/cpuinfo``; what stands below them (``Model`` on a Raspberry Pi) is none."""
    blocks = []
    for block in cpuinfo.split("\n\n"):
        pairs = (line.partition(":") for line in block.splitlines())
        found = {key.strip(): value.strip() for key, _, value in pairs}
        if "processor" in found:
            blocks.append(found)
    return blocks


def _cores(access: Access, blocks: list[dict[str, str]]) -> tuple[Core, ...]:
    """Cores by kind, the fastest first; two threads of one core count once."""
    seen = dict[tuple[str, str], tuple[str, float | None]]()
    for block in blocks:
        number = block["processor"]
        khz = access.try_number(access.root / f"sys/devices/system/cpu/cpu{number}/cpufreq/cpuinfo_max_freq")
        core = (block.get("physical id", ""), block.get("core id", number))
        seen.setdefault(core, (_core_name(block), khz))
    kinds: dict[str, list[float | None]] = defaultdict(list)
    for name, khz in seen.values():
        kinds[name].append(khz)
    found = [
        Core(name, len(all_khz), round(max(known) / 1e6, 2) if (known := [k for k in all_khz if k]) else None)
        for name, all_khz in kinds.items()
    ]
    return tuple(sorted(found, key=lambda c: -(c.max_ghz or 0)))


def _core_name(block: dict[str, str]) -> str:
    try:
        key = int(block["CPU implementer"], 16), int(block["CPU part"], 16)
    except (KeyError, ValueError):
        return block.get("model name", "core")
    return _ARM_CORES.get(key, f"ARM part {key[0]:#x}/{key[1]:#x}")


def _arch(features: frozenset[str]) -> str | None:
    return "aarch64" if "asimd" in features else "x86_64" if "lm" in features else None


def _mem_gib(meminfo: str) -> float | None:
    for line in meminfo.splitlines():
        if (found := re.match(r"MemTotal:\s+(\d+) kB", line)) is not None:
            return int(found[1]) / 2**20
    return None


def _power_modes(conf: str) -> frozenset[str]:
    return frozenset(mode_name(name) for name in re.findall(r"^<\s*POWER_MODEL\s+ID=\d+\s+NAME=(\S+)", conf, re.M))


def _gpu(name: str, compute_capability: str, mebibytes: str) -> Gpu:
    digits = compute_capability.replace(".", "")
    return Gpu(
        name,
        cuda_arch=int(digits) if digits.isdigit() else None,
        # What is shown lacks what the card keeps for itself.
        gib=float(round(int(mebibytes) / 2**10)) or None if mebibytes.isdigit() else None,
    )


def _mac(access: Access) -> Machine:
    def sysctl(key: str) -> str:
        return (access.run(["sysctl", "-n", key]) or "").strip()

    kinds = [(sysctl(f"hw.perflevel{i}.name"), sysctl(f"hw.perflevel{i}.physicalcpu")) for i in (0, 1)]
    n_bytes = sysctl("hw.memsize")
    return Machine(
        access=access,
        compatible=(),
        model=sysctl("hw.model") or None,
        dmi=(),
        chassis=None,
        cpu=sysctl("machdep.cpu.brand_string") or None,
        cores=tuple(Core(name or "core", int(n)) for name, n in kinds if n.isdigit() and int(n)),
        features=frozenset(),
        arch=(access.run(["uname", "-m"]) or "").strip() or None,
        mem_gib=int(n_bytes) / 2**30 if n_bytes.isdigit() else None,
        power_modes=frozenset(),
    )
