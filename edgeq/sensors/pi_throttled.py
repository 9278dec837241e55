"""Whether a Raspberry Pi slows itself down, and why; the clock of its processor cores.

``vcgencmd get_throttled`` has four live bits and, 16 places higher, the same four for "has happened since boot". A bit
of the past that was already set proves nothing, one that rises between two readings proves what they both missed.
"""

from __future__ import annotations

from pathlib import Path

from edgeq.access import Access
from edgeq.errors import MissingError
from edgeq.records import Channel
from edgeq.sensors import Sample, Sensor
from edgeq.sensors._hwmon import devices
from edgeq.sensors._vcio import Mailbox, connect

# In the order of the bits, which is that of vcgencmd's manual page.
_REASONS = ("under-voltage", "ARM frequency capped", "throttled", "soft temperature limit")
_STICKY = 16


class PiThrottled(Sensor):
    """Asks the firmware: one flag per reason, and the clock in Hz."""

    period_s = 0.2

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self._sticky = self._bits() >> _STICKY
        flags = tuple(_flag(reason, f"{mailbox.node} get_throttled") for reason in _REASONS)
        self.channels = flags
        try:
            self._clock_hz()
        except (OSError, ValueError):
            return
        self.channels = (
            *flags,
            Channel(
                name="arm",
                quantity="frequency",
                kind="gauge",
                unit="Hz",
                scope="package",
                source=f"{mailbox.node} measure_clock arm",
            ),
        )

    def read(self) -> list[Sample]:
        """Each flag is 1 if it is set now or was set since the last reading. Raises OSError or ValueError."""
        bits = self._bits()
        new = bits >> _STICKY & ~self._sticky
        self._sticky = bits >> _STICKY
        samples = [Sample(i, float((bits | new) >> i & 1)) for i in range(len(_REASONS))]
        if len(self.channels) > len(_REASONS):
            samples.append(Sample(len(_REASONS), self._clock_hz()))
        return samples

    def close(self) -> None:
        """Close the mailbox."""
        self._mailbox.close()

    def _bits(self) -> int:
        return int(self._answer("get_throttled"), 16)

    def _clock_hz(self) -> float:
        return float(self._answer("measure_clock arm"))

    def _answer(self, command: str) -> str:
        # throttled=0x50000, frequency(48)=600117184
        return self._mailbox.ask(command).partition("=")[2]


class PiUnderVoltage(Sensor):
    """Asks the kernel, which everybody may, but which knows of under-voltage only."""

    period_s = 1.0

    def __init__(self, access: Access, alarm: Path) -> None:
        self._access = access
        self._alarm = alarm
        # The driver raspberrypi-hwmon asks the firmware, and clears the bit, every 2 s.
        self.channels = (_flag(_REASONS[0], "hwmon rpi_volt in0_lcrit_alarm", update_period_s=2.0),)

    def read(self) -> list[Sample]:
        """1 if the voltage was too low within the last two seconds. Raises OSError or ValueError."""
        return [Sample(0, float(self._access.text(self._alarm) != "0"))]


def _flag(reason: str, source: str, update_period_s: float | None = None) -> Channel:
    return Channel(
        name=reason,
        quantity="throttle",
        kind="gauge",
        unit="flag",
        scope="board",
        update_period_s=update_period_s,
        source=source,
    )


def probe(access: Access) -> Sensor:
    """The firmware's flags, else the kernel's. Raises MissingError, or DeniedError where only permission lacks."""
    try:
        mailbox = connect(access)
    except MissingError:
        if (kernel := _kernel(access)) is not None:
            return kernel
        raise
    try:
        return PiThrottled(mailbox)
    except (OSError, ValueError):
        mailbox.close()
    if (kernel := _kernel(access)) is not None:
        return kernel
    raise MissingError(
        "The firmware of this Raspberry Pi does not tell whether it throttles.",
        "Update the firmware; until then only a falling clock can show it.",
    )


def _kernel(access: Access) -> PiUnderVoltage | None:
    alarms = [folder / "in0_lcrit_alarm" for _, folder in devices(access, {"rpi_volt"})]
    return next((PiUnderVoltage(access, a) for a in alarms if access.try_text(a) in ("0", "1")), None)
