"""TI's power monitors: what one step of a reading is worth, how wrong it may be, how often it is new.

Sources: the chips' datasheets, maximum values at 25 °C, and the settings that the kernel's drivers ina3221, ina2xx and
ina238 make.
"""

from __future__ import annotations

from typing import NamedTuple


class Chip(NamedTuple):
    """One kind of chip. All of it is about what lies over the shunt; the shunt's own tolerance is nowhere in it.

    ``step_v``: one step of the shunt's voltage. ``offset_v``: its offset. ``gain``: gain error of current and voltage
    together, as a share. ``coarse_v``: the power register counts in steps of this voltage times one step of current.
    ``period_s``: time between two values; ``averaged``: each is the mean over that time. ``shunt_ohm``: built in.
    """

    period_s: float
    averaged: bool
    step_v: float | None = None
    offset_v: float | None = None
    gain: float | None = None
    coarse_v: float = 0.0
    shunt_ohm: float | None = None

    def lsb_w(self, volts: float | None, shunt_ohm: float | None) -> float | None:
        """One step in W at this supply voltage."""
        return _watts(self.step_v, None if volts is None else max(volts, self.coarse_v), shunt_ohm)

    def offset_w(self, volts: float | None, shunt_ohm: float | None) -> float | None:
        """Limit of the offset in W at this supply voltage."""
        return _watts(self.offset_v, volts, shunt_ohm)

    @property
    def accuracy(self) -> str:
        """The limits in words."""
        if self.offset_v is None or self.gain is None:
            return "not known"
        return (
            f"by the datasheet: ±{self.gain:.2%} of the reading, ±{self.offset_v * 1e6:g} µV over the shunt; "
            "the shunt's tolerance comes on top"
        )


def _watts(shunt_v: float | None, volts: float | None, shunt_ohm: float | None) -> float | None:
    return None if shunt_v is None or volts is None or not shunt_ohm else shunt_v / shunt_ohm * volts


_INA3221_S = 3 * 2 * 1.1e-3  # three channels, two quantities, 1.1 ms each
_INA219_S = 2 * 0.532e-3
_INA226_S = 16 * 2 * 1.1e-3  # the driver lets it average 16 times
_INA238_S = 16 * 3 * 1.052e-3  # as above, and it measures its temperature as well

CHIPS = {
    "ina3221": Chip(_INA3221_S, False, 40e-6, 80e-6, 0.005),
    "ina219": Chip(_INA219_S, False, 10e-6, 200e-6, 0.01, 20.0),
    "ina220": Chip(_INA219_S, False, 10e-6, 200e-6, 0.01, 20.0),
    "ina226": Chip(_INA226_S, True, 2.5e-6, 10e-6, 0.002, 25.0),
    "ina230": Chip(_INA226_S, True, 2.5e-6, 50e-6, 0.01, 25.0),
    "ina231": Chip(_INA226_S, True, 2.5e-6, 50e-6, 0.01, 25.0),
    "ina260": Chip(_INA226_S, True, 2.5e-6, 10e-6, 0.0025, 8.0, 2e-3),
    "ina237": Chip(_INA238_S, True, 5e-6, 50e-6, 0.006),
    "ina238": Chip(_INA238_S, True, 5e-6, 5e-6, 0.002),
    "ina228": Chip(_INA238_S, True, 0.3125e-6, 1e-6, 0.001),
    "ina700": Chip(_INA238_S, True),
    "ina780": Chip(_INA238_S, True),
    "sq52206": Chip(_INA238_S, True),
}
