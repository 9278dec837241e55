"""Power of a Raspberry Pi 5, 500 or CM5, rail by rail, from the ADC of its power management chip.

``vcgencmd pmic_read_adc`` prints a current and a voltage for each of twelve rails. The 5 V input has no current: USB
devices, HATs, NVMe and the fan are not seen. What the whole board takes is therefore only an estimate: a straight line
fitted to the sum of the rails.
"""

from __future__ import annotations

import re

from edgeq.access import Access
from edgeq.errors import MissingError
from edgeq.records import Channel, PmicModel
from edgeq.sensors import Sample, Sensor
from edgeq.sensors._vcio import Mailbox, connect

_COMMAND = "pmic_read_adc"
_LINE = re.compile(r"(\w+)_([AV])\s+(?:current|volt)\(\d+\)=([-+.\d]+)[AV]")
_FIT = PmicModel(
    1.1451, 0.5879, "one owner's fit to a USB-C meter, no residuals published (github.com/jfikar/RPi5-power)"
)


def rails_w(text: str) -> dict[str, float]:
    """Power of every rail that has both a current and a voltage. Raises ValueError for a number that is none."""
    # Indices have gaps and the two lists need not be in the same order: only the names pair them.
    values = {(name, unit): float(value) for name, unit, value in _LINE.findall(text)}
    return {name: a * values[name, "V"] for (name, unit), a in values.items() if unit == "A" and (name, "V") in values}


class PiPmic(Sensor):
    """Reads the rails and estimates the board, in W."""

    # The firmware converts when it is asked, and its own period is not published.
    period_s = 0.1

    def __init__(self, mailbox: Mailbox, rails: tuple[str, ...], model: PmicModel) -> None:
        self._mailbox = mailbox
        self._rails = rails
        self._model = model
        source = f"{mailbox.node} {_COMMAND}"
        board = Channel(
            name="board, corrected",
            quantity="power",
            kind="gauge",
            unit="W",
            scope="board",
            estimated=True,
            accuracy=f"estimate: {model.gain:g} x sum of the rails + {model.offset_w:g} W"
            f" ({model.name or 'the fit in the profile'}); 5 V loads that the fit did not have are missing",
            source=source,
        )
        self.channels = (
            *(
                Channel(
                    name=rail,
                    quantity="power",
                    kind="gauge",
                    unit="W",
                    scope="rail",
                    accuracy="no limits published; single readings scatter widely",
                    source=source,
                )
                for rail in rails
            ),
            board,
        )

    def read(self) -> list[Sample]:
        """Power of every rail, then of the board. Raises OSError, or ValueError where a rail is missing."""
        watts = rails_w(self._mailbox.ask(_COMMAND))
        if missing := [r for r in self._rails if r not in watts]:
            raise ValueError(f"the firmware's answer lacks {', '.join(missing)}")
        values = [watts[r] for r in self._rails]
        values.append(self._model.gain * sum(values) + self._model.offset_w)
        return [Sample(i, w) for i, w in enumerate(values)]

    def close(self) -> None:
        """Close the mailbox."""
        self._mailbox.close()


def probe(access: Access) -> PiPmic:
    """The rails of this board. Raises MissingError on boards before the Pi 5, DeniedError without permission."""
    mailbox = connect(access)
    try:
        rails = tuple(rails_w(mailbox.ask(_COMMAND)))
    except (OSError, ValueError):
        rails = ()
    if not rails:
        mailbox.close()
        raise MissingError(
            "This Raspberry Pi has no current sensing; only the Pi 5, 500 and CM5 have.",
            "Use an external meter: `edgeq doctor` says how to describe one.",
        )
    return PiPmic(mailbox, rails, access.profile.pmic or _FIT)
