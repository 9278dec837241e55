"""Apple Silicon: the chip's own energy counters (IOReport group "Energy Model"), read through zeus-apple-silicon.

They need no administrator. The whole machine uses two to four times as much when it runs a model: display, SSD and
the losses of the power supply are not in them.
"""

from __future__ import annotations

from typing import Any

from edgeq.access import Access
from edgeq.errors import MissingError
from edgeq.records import Channel
from edgeq.sensors import Sample, Sensor

# The library's fields, in millijoules, by our names. Its GPU SRAM is left out: whether the GPU's own figure contains
# it is not documented.
_FIELDS = {"cpu": "cpu_total_mj", "gpu": "gpu_mj", "ane": "ane_mj", "dram": "dram_mj"}


class AppleSilicon(Sensor):
    """Reads the counters that this chip has, in joules."""

    def __init__(self, monitor: Any) -> None:
        self._monitor = monitor
        energy = monitor.get_cumulative_energy()
        self._fields = {name: field for name, field in _FIELDS.items() if getattr(energy, field) is not None}
        self.channels = tuple(
            Channel(
                name=name,
                quantity="energy",
                kind="counter",
                unit="J",
                scope="package",
                lsb=0.001,
                accuracy="Apple's model of the chip, from load, clocks and voltages; no limits published",
                estimated=True,
                source=f"AppleEnergyMonitor.get_cumulative_energy().{field}",
            )
            for name, field in self._fields.items()
        )

    def read(self) -> list[Sample]:
        """Joules since the chip was started. Raises OSError where macOS gives nothing."""
        try:
            energy = self._monitor.get_cumulative_energy()
        except RuntimeError as e:
            raise OSError(f"IOReport: {e}") from None
        values = [getattr(energy, field) for field in self._fields.values()]
        return [Sample(i, millijoules / 1000) for i, millijoules in enumerate(values) if millijoules is not None]


def probe(access: Access) -> AppleSilicon:
    """A sensor for this Mac's chip. Raises MissingError on other machines."""
    if access.platform != "darwin":
        raise MissingError("This is no Mac.", "Apple Silicon's energy counters are read on macOS only.")
    try:
        sensor = AppleSilicon(access.load("zeus_apple_silicon").AppleEnergyMonitor())
    except (ImportError, AttributeError):
        raise MissingError(
            "Apple Silicon's energy counters can be read with zeus-apple-silicon.", "pip install 'edgeq[apple]'"
        ) from None
    except RuntimeError as e:
        raise MissingError(f"macOS gives no energy counters: {e}.", "Macs with an Intel processor have none.") from None
    if not any(sample.value > 0 for sample in sensor.read()):
        raise MissingError(
            "zeus-apple-silicon finds no energy counter of this chip that has counted anything.",
            "pip install --upgrade zeus-apple-silicon",
        )
    return sensor
