"""Which profile of the shelf is this machine's, and what of the machine is not as a profile says."""

from __future__ import annotations

import msgspec

from edgeq.access import Access
from edgeq.profiles.load import load, names
from edgeq.profiles.machine import Machine, machine, mode_name
from edgeq.records import Host, Match, Profile

# The kernel keeps up to 7 % of a board's memory for the firmware; the next smaller size is 25 % less.
_MEMORY_TOLERANCE = 0.12


class Difference(msgspec.Struct, frozen=True):
    """Something that is not as a profile says it is (``expected``). ``found``: as it is; ``hint``: what it means."""

    what: str
    expected: str
    found: str
    hint: str = ""

    @property
    def text(self) -> str:
        """The difference in words."""
        return f"{self.what}: {self.found}, the profile is for {self.expected}"


def detect(access: Access) -> str | None:
    """Name of the shelf profile that describes this machine best, None where none does.

    The device tree counts more than the processor's name, that more than the kind of chassis, that more than a graphics
    card. Of several profiles that match equally well, the one with the machine's power modes, then the one whose memory
    is nearest is it.
    """
    here = machine(access)
    found = []
    for name in names():
        profile = load(name)
        if (rank := _rank(profile, here)) is not None:
            found.append((rank, _strange_modes(profile, here), _memory_distance(profile, here), name))
    return min(found)[-1] if found else None


def differences(profile: Profile, access: Access) -> tuple[Difference, ...]:
    """What of this machine is not as the profile says; what either of them leaves open is no difference."""
    here = machine(access)
    found = [_architecture(profile, here), _board(profile, here), _cores(profile, here), _memory(profile, here)]
    return tuple(d for d in (*found, _power_modes(profile, here)) if d is not None)


def is_of(profile: Profile, host: Host) -> bool:
    """Whether a machine in a record is the profile's board, by what the record says of it: less than `detect` sees."""
    match, memory = profile.match, profile.memory
    if match is None or _other_processor(profile, host.arch):
        return False
    if memory and abs(host.mem_bytes / 2**30 / memory.gib - 1) > _MEMORY_TOLERANCE:
        return False
    boards = (*match.dmi, *((profile.board,) if profile.board else ()))
    return _says(boards, host.board) or _says(match.cpu, host.cpu) or any(_says(match.gpu, gpu) for gpu in host.gpu)


def _rank(profile: Profile, here: Machine) -> tuple[int, int] | None:
    """How the profile matches, the smaller the surer: (kind of evidence, position in ``compatible``)."""
    match = profile.match
    if match is None or _architecture(profile, here):
        return None
    for position, entry in enumerate(here.compatible):
        if entry in match.device_tree:
            return (0, position)
    if any(_says(match.dmi, name) for name in here.dmi):
        return (1, 0)
    if _says(match.cpu, here.cpu):
        return (2, 0)
    if _says(match.dmi, here.chassis):
        return (3, 0)
    return (4, 0) if _has_gpu(match, here) else None


def _has_gpu(match: Match, here: Machine) -> bool:
    return bool(match.gpu) and any(_says(match.gpu, gpu.name) for gpu in here.gpus)


def _says(parts: tuple[str, ...], text: str | None) -> bool:
    return text is not None and any(part.lower() in text.lower() for part in parts)


def _strange_modes(profile: Profile, here: Machine) -> int:
    """How many power modes only one of the two knows: what tells a Jetson Orin Nano from the same board as Super."""
    own = {mode_name(m.name) for m in profile.power_modes}
    return len(own ^ here.power_modes) if own and here.power_modes else 0


def _memory_distance(profile: Profile, here: Machine) -> float:
    if profile.memory is None or here.mem_gib is None:
        return 0.0
    return abs(profile.memory.gib - here.mem_gib)


def _other_processor(profile: Profile, arch: str | None) -> bool:
    if profile.target is None or arch is None:
        return False
    alike = {"arm64": "aarch64"}
    wanted = profile.target.partition("-")[0]
    return alike.get(wanted, wanted) != alike.get(arch, arch)


def _architecture(profile: Profile, here: Machine) -> Difference | None:
    if not _other_processor(profile, here.arch):
        return None
    wanted = (profile.target or "").partition("-")[0]
    return Difference(
        "architecture", wanted, here.arch or "", "Programs that are built for the profile do not run here."
    )


def _board(profile: Profile, here: Machine) -> Difference | None:
    if profile.match is None or _rank(profile, here) is not None or _architecture(profile, here):
        return None
    return Difference("board", profile.board or profile.name, here.board or "one that does not say what it is")


def _cores(profile: Profile, here: Machine) -> Difference | None:
    if profile.n_cores is None or here.n_cores is None or profile.n_cores == here.n_cores:
        return None
    fewer = here.n_cores < profile.n_cores
    hint = "Some may be switched off: a power mode does that." if fewer and profile.power_modes else ""
    return Difference("cores", str(profile.n_cores), str(here.n_cores), hint)


def _memory(profile: Profile, here: Machine) -> Difference | None:
    if profile.memory is None or here.mem_gib is None:
        return None
    if abs(here.mem_gib / profile.memory.gib - 1) <= _MEMORY_TOLERANCE:
        return None
    return Difference("memory", f"{profile.memory.gib:g} GiB", f"{here.mem_gib:.1f} GiB")


def _power_modes(profile: Profile, here: Machine) -> Difference | None:
    missing = [m.name for m in profile.power_modes if mode_name(m.name) not in here.power_modes]
    if not here.power_modes or not missing:
        return None
    hint = "/etc/nvpmodel.conf is that of another configuration, and so may be the clocks, the memory's among them."
    return Difference("power modes", f"one that has {', '.join(missing)}", ", ".join(sorted(here.power_modes)), hint)
