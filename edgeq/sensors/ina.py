"""Power by TI's INA chips through the kernel: the rails of a Jetson, and chips that a user has wired up.

A rail's name is its label. What a user's own chip measures cannot be known, so it is a rail that counts into no total,
unless its label (``label`` in the device tree) is VIN, VDD_IN, 5V_IN or board: then it is the whole board's supply.

INA3221 gives negative values near zero, which are kept; the other chips' power has no sign.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from pathlib import Path

from edgeq.access import Access
from edgeq.errors import DeniedError, MissingError
from edgeq.records import Channel, Scope
from edgeq.sensors import Sample, Sensor
from edgeq.sensors._hwmon import shown
from edgeq.sensors._ina_chips import CHIPS
from edgeq.sensors._ina_rails import Rail, Register, rails
from edgeq.sensors._rails import summands


class Ina(Sensor):
    """Reads every rail, two registers each at most: on AGX Orin one register costs half a millisecond."""

    period_s = 0.02

    def __init__(self, access: Access, channels: Sequence[Channel], registers: Sequence[Register]) -> None:
        self._access = access
        self._registers = tuple(registers)
        self.channels = tuple(channels)

    def read(self) -> list[Sample]:
        """W and J. A rail that is switched off (ENODATA) gives nothing. Raises OSError where none gives anything."""
        samples: list[Sample] = []
        self.trouble = ""
        for i, register in enumerate(self._registers):
            try:
                samples.append(Sample(i, register.value(self._access)))
            except (OSError, ValueError) as e:
                if getattr(e, "errno", None) != errno.ENODATA:
                    self.trouble = self.trouble or str(e)
        if not samples:
            raise OSError(f"None of the power monitors gives a value: {self.trouble or 'all are switched off'}.")
        return samples


def probe(access: Access) -> Ina:
    """All rails of all chips, and which of them are whole inputs.

    Raises MissingError where there is no chip or none that is switched on, DeniedError where this user may read none.
    """
    alive: list[Rail] = []
    silent: list[Rail] = []
    denied: list[Rail] = []
    for rail in rails(access):
        try:
            rail.power.value(access)
            alive.append(rail)
        except PermissionError:
            denied.append(rail)
        except (OSError, ValueError):
            silent.append(rail)
    if not alive:
        raise _nothing(access, [rail.power.files[-1] for rail in denied], silent)
    # A sum that lacks one of its rails is too small, so only rails that answer now can be summands.
    scopes = summands((rail.name for rail in alive), (rail.name for rail in (*silent, *denied)))
    found = [(rail, scopes.get(rail.name)) for rail in alive] + [(rail, None) for rail in silent]
    parts = [
        (_channel(access, rail, register, scope), register)
        for rail, scope in found
        for register in (rail.power, rail.energy)
        if register is not None
    ]
    return Ina(access, [channel for channel, _ in parts], [register for _, register in parts])


def _channel(access: Access, rail: Rail, register: Register, scope: Scope | None) -> Channel:
    chip = CHIPS[rail.chip]
    counter = register is rail.energy
    samples = access.try_number(rail.folder / "samples")
    interval_ms = access.try_number(rail.folder / "update_interval")
    averaged = chip.averaged if samples is None else samples > 1
    period_s = interval_ms / 1e3 if interval_ms else chip.period_s
    millivolts = access.try_number(rail.volts)
    volts = None if millivolts is None else millivolts / 1e3
    microohms = None if rail.shunt is None else access.try_number(rail.shunt)
    shunt_ohm = chip.shunt_ohm if microohms is None else microohms / 1e6
    return Channel(
        name=rail.name,
        quantity="energy" if counter else "power",
        kind="counter" if counter else "average" if averaged else "gauge",
        unit="J" if counter else "W",
        scope=scope or "rail",
        update_period_s=period_s,
        window_s=period_s if averaged and not counter else None,
        lsb=None if counter else chip.lsb_w(volts, shunt_ohm),
        accuracy=chip.accuracy,
        source=" * ".join(shown(access, f) for f in register.files),
        summand=scope is not None,
        gain_error=chip.gain,
        offset_error=None if counter else chip.offset_w(volts, shunt_ohm),
    )


def _nothing(access: Access, denied: list[Path], silent: list[Rail]) -> MissingError:
    if denied:
        folder = denied[0].parent
        subsystem = "iio" if folder.name.startswith("iio:") else "hwmon"
        return DeniedError(
            f"There is a power monitor, and this user may not read {shown(access, denied[0])}.",
            f"Until the next start: `sudo sh -c 'chmod a+r {shown(access, folder)}/*_input'`. For good, in "
            f'/etc/udev/rules.d/99-ina.rules: `SUBSYSTEM=="{subsystem}", ACTION=="add", '
            "RUN+=\"/bin/sh -c 'chmod a+r /sys%p/*_input'\"`.",
        )
    if silent:
        folder = silent[0].folder
        return MissingError(
            f"The power monitor in {shown(access, folder)} gives no value: it is switched off or suspended.",
            f"Switch it on: `echo 1 | sudo tee {shown(access, folder)}/in*_enable`.",
        )
    return MissingError(
        "There is no INA power monitor that the kernel knows.",
        "A Jetson Nano 2GB has none, nor have most other boards: use an external meter. "
        "`edgeq doctor` says what else was looked for.",
    )
