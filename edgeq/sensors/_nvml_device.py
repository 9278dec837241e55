"""One NVIDIA GPU through NVML: calls that fail as OSError, and fields whose own return codes are checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from edgeq.access import Access
from edgeq.records import Channel
from edgeq.sensors import Sample

# The members of c_nvmlValue_t by nvmlValueType_t: which of them is filled varies with the driver.
_MEMBERS = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")


class Reading(NamedTuple):
    """Channels, and a function that gives their samples, numbered from 0. ``follow``: the measured process started."""

    channels: tuple[Channel, ...]
    read: Callable[[], list[Sample]]
    follow: Callable[[int], None] = lambda pid: None


class Field(NamedTuple):
    """A field's value, and when the driver had it, in ns of the driver's clock."""

    value: float
    t_ns: int


class Timing(NamedTuple):
    """How often the power sensor of a GPU gives a new value, and how long it looks for it."""

    update_period_s: float
    window_s: float | None


class Device:
    """A handle with its library. ``capability`` is CUDA's compute capability, which tells the architecture."""

    def __init__(self, nvml: Any, handle: Any, access: Access, suffix: str) -> None:
        self.nvml = nvml
        self.access = access
        self.suffix = suffix
        self._handle = handle
        try:
            self.capability: tuple[int, int] | None = self.call("nvmlDeviceGetCudaComputeCapability")
        except OSError:
            self.capability = None

    def call(self, function: str, *args: Any) -> Any:
        """What NVML answers. Raises PermissionError, FileNotFoundError, or OSError with NVML's own words."""
        if not hasattr(self.nvml, function):
            raise OSError(f"NVML: this nvidia-ml-py has no {function}")
        try:
            return getattr(self.nvml, function)(self._handle, *args)
        except self.nvml.NVMLError as e:
            if e.value == self.nvml.NVML_ERROR_NOT_FOUND:
                raise FileNotFoundError(f"NVML: {e} ({function})") from None
            kind = PermissionError if e.value == self.nvml.NVML_ERROR_NO_PERMISSION else OSError
            raise kind(f"NVML: {e} ({function})") from None

    def answering(self, *functions: str, args: tuple[Any, ...] = ()) -> str:
        """The first of several names of one function that this driver knows. Raises OSError where none does."""
        for function in functions[:-1]:
            try:
                self.call(function, *args)
            except OSError:
                continue
            return function
        self.call(functions[-1], *args)
        return functions[-1]

    def fields(self, *wanted: tuple[int, int]) -> list[Field | None]:
        """Values of (field, scope), None where the driver has none: the call succeeds even if no field does."""
        answers = self.call("nvmlDeviceGetFieldValues", list(wanted))
        return [
            Field(float(getattr(a.value, _MEMBERS[a.valueType])), int(a.timestamp) * 1000)
            if a.nvmlReturn == self.nvml.NVML_SUCCESS and a.valueType < len(_MEMBERS)
            else None
            for a in answers
        ]

    @property
    def counts(self) -> bool:
        """Whether this GPU has an energy counter."""
        try:
            return bool(self.call("nvmlDeviceGetTotalEnergyConsumption") > 0)
        except OSError:
            return False

    @property
    def timing(self) -> Timing:
        """The power sensor's timing as measured on boards of each architecture (arXiv 2312.02741)."""
        if self.capability is None or self.capability >= (8, 9):
            return Timing(0.1, 0.025 if self.capability == (9, 0) else None)
        if self.capability < (7, 5):
            return Timing(0.02, 0.01 if self.capability >= (6, 0) else None)
        return Timing(0.1, 0.025 if self.capability == (8, 0) else 0.1)

    @property
    def averages_power(self) -> bool:
        """Whether nvmlDeviceGetPowerUsage is a mean over 1 s: from Ampere on, GA100 excepted (NVML reference)."""
        return self.capability is None or self.capability > (8, 0)

    @property
    def may_sleep(self) -> bool:
        """Whether the GPU may be powered down when idle, out of which every NVML call would wake it.

        Linux says so for each PCI device; a system that does not say is taken for a laptop.
        """
        try:
            pci = self.call("nvmlDeviceGetPciInfo")
            address = f"{pci.domain:04x}:{pci.bus:02x}:{pci.device:02x}.0"
            return self.access.text(self.access.root / "sys/bus/pci/devices" / address / "power/control") != "on"
        except OSError:
            return True
