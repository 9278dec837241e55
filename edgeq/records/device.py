"""Kinds of devices, as profiles describe them, and the machine at hand."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from edgeq.records.base import Record
from edgeq.records.sensing import Meter, PmicModel

_Count = Annotated[int, Meta(ge=1, le=512)]
_Positive = Annotated[float, Meta(gt=0)]
_Fraction = Annotated[float, Meta(ge=0)]


class Core(Record, frozen=True):
    """Cores of one kind."""

    name: str
    count: _Count
    max_ghz: _Positive | None = None


class MainMemory(Record, frozen=True):
    """Main memory. ``gb_s``: the highest rate that its bus allows, 10⁹ bytes/s, with the ``source`` of the figure.

    ``system_gib``: what the firmware, the graphics and an idle system without a desktop keep for themselves.
    """

    gib: _Positive
    kind: str = ""
    gb_s: _Positive | None = None
    source: str = ""
    system_gib: _Fraction = 0.5


class Gpu(Record, frozen=True):
    """``cuda_arch``: compute capability as CMake writes it (87). ``gib``, ``gb_s``: its own memory; None if shared."""

    name: str
    cuda_arch: _Count | None = None
    gib: _Positive | None = None
    gb_s: _Positive | None = None
    source: str = ""


class PowerMode(Record, frozen=True):
    """A setting of the device that decides speed and power. ``watts``: its budget; ``command``: what sets it."""

    name: str
    watts: _Positive | None = None
    command: str = ""


class Price(Record, frozen=True):
    """What the device typically costs, without tax. ``date``: year and month of the figure."""

    amount: _Positive
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")]
    date: Annotated[str, Meta(pattern=r"^20\d\d-[01]\d$")]
    source: str = ""


class Thermal(Record, frozen=True):
    """At which temperature of the chip it slows down, in degrees Celsius."""

    throttle_c: Annotated[float, Meta(gt=0, lt=150)]
    source: str = ""


class Match(Record, frozen=True):
    """How the device is recognized: any of these, in the device tree's ``compatible``, in DMI or as CPU or GPU name.

    ``dmi`` and the names match as parts of what the machine says, whatever the case. Of several profiles that match,
    the one whose memory is nearest is it.
    """

    device_tree: tuple[str, ...] = ()
    dmi: tuple[str, ...] = ()
    cpu: tuple[str, ...] = ()
    gpu: tuple[str, ...] = ()


class Profile(Record, frozen=True):
    """How to use one kind of device; all of a profile file's keys.

    ``target``: GNU triple of the programs it runs, None for this machine's. ``isa``: the instruction sets that the CPU
    code is compiled for: native (those of the compiling machine), baseline (those that all of its kind have), variants
    (several, chosen at run time), or one, as armv8.2-a+dotprod+fp16 or x86-64-v3. ``cmake_args``: further options of
    llama.cpp. ``try_threads``: numbers of threads worth measuring. ``sensors``: files of the sensor shelf to read;
    ``None`` takes every one that answers. ``power_channel``: sensor and channel that is the total. ``pmic``: the user's
    own fit of a Raspberry Pi 5's power to its rails.
    """

    name: str
    description: str = ""
    backend: str = "cpu"
    n_threads: _Count | None = None
    n_gpu_layers: Annotated[int, Meta(ge=-1)] | None = None
    sensors: tuple[str, ...] | None = None
    meter: Meter | None = None
    pmic: PmicModel | None = None
    board: str = ""
    soc: str = ""
    cores: tuple[Core, ...] = ()
    memory: MainMemory | None = None
    gpu: Gpu | None = None
    target: Annotated[str, Meta(pattern=r"^[a-z0-9_]+(-[a-z0-9_.]+)+$")] | None = None
    isa: str = "native"
    cmake_args: tuple[Annotated[str, Meta(pattern=r"^-D[A-Z0-9_]+=\S+$")], ...] = ()
    flash_attn: Literal["auto", "on", "off"] = "auto"
    type_k: str = "f16"
    type_v: str = "f16"
    try_threads: tuple[_Count, ...] = ()
    power_channel: str | None = None
    power_modes: tuple[PowerMode, ...] = ()
    price: Price | None = None
    thermal: Thermal | None = None
    match: Match | None = None

    @property
    def n_cores(self) -> int | None:
        """Number of cores of all kinds, None where the profile does not say."""
        return sum(core.count for core in self.cores) or None


class Host(Record, frozen=True):
    """The machine at the time of measuring. ``board``: its name in the device tree or in DMI."""

    cpu: str
    arch: str
    n_cores: int
    n_threads: int
    features: tuple[str, ...]
    gpu: tuple[str, ...]
    os: str
    kernel: str
    mem_bytes: int
    governor: str | None
    python: str
    power_mode: str | None = None
    power_supply: Literal["mains", "battery"] | None = None
    swap_used_bytes: int | None = None
    board: str | None = None

    @property
    def condition(self) -> tuple[str | None, ...]:
        """What decides its speed: figures of different conditions are figures of different devices."""
        return (self.cpu, self.board, self.power_mode, self.governor, self.power_supply)
