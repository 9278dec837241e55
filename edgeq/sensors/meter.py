"""An external power meter as the profile describes it: a smart plug, a USB meter, anything that a program can read.

Records come by command, file, HTTP or MQTT (``_meter_transports``) and are read as JSON, CSV or by a pattern
(``_meter_parse``). They are passed on as they are: a counter that restarts, restarts here too. A record whose own time
is not later than that of the one before is no new record; nothing new for ``stale_after_s`` is a fault. Records that
arrive together and carry no time of their own can't be told apart in time: the last one counts.
"""

from __future__ import annotations

from edgeq.access import Access
from edgeq.errors import DeniedError, MissingError
from edgeq.records import Meter
from edgeq.sensors import Sample, Sensor
from edgeq.sensors._meter_channels import channels
from edgeq.sensors._meter_parse import Decoder, Reading
from edgeq.sensors._meter_presets import complete
from edgeq.sensors._meter_transports import TRANSPORTS, Transport

_POLL_S = 0.01
# How often a record is looked for in an update period: nobody sees it come before that.
_LOOKS = 4
_FASTEST_S, _SLOWEST_S = 0.02, 0.1
# So many records, over so long, tell the update period.
_N_RECORDS = 3
_SPAN_NS = 200_000_000
_DENIED_HINT = {
    "command": "Run the command by hand to see what it is not allowed to do.",
    "csv": "Let this user read the file: chmod a+r FILE.",
    "http": "Switch the meter's password off, or read it with `transport: command`.",
    "mqtt": "Let the broker accept clients without a password, or read it with `transport: command`.",
}


class ExternalMeter(Sensor):
    """Gives what came since the last reading, each at the time of its arrival less the latency, or at its own time."""

    def __init__(self, meter: Meter, access: Access, transport: Transport) -> None:
        self._meter = meter
        self._access = access
        self._transport = transport
        self._decoder = Decoder(meter)
        self._new: dict[int, Reading] = {}
        self._own_ns: int | None = None
        self._n_old = 0
        self._seen_ns = access.clock()

    def read(self) -> list[Sample]:
        """Samples of power, energy or both. Raises OSError where nothing new came for ``stale_after_s``."""
        try:
            self._take()
        except OSError as e:
            raise OSError(f"The meter gives nothing any more: {e}.") from None
        new, self._new = self._new, {}
        if not new and (self._access.clock() - self._seen_ns) / 1e9 > self._meter.stale_after_s:
            raise OSError(f"The meter has given nothing new for {self._meter.stale_after_s:g} s{self.reasons()}.")
        return [
            Sample(i, value, t_ns)
            for t_ns, reading in new.items()
            for i, value in enumerate(v for v in (reading.power_w, reading.energy_j) if v is not None)
        ]

    def start(self, source: str) -> None:
        """Wait for records and say what the channels are. Raises OSError where none can be used."""
        meter, access = self._meter, self._access
        end = access.clock() + round(max(meter.stale_after_s, 3 * meter.period_s) * 1e9)
        self._take()
        while not self._settled() and access.clock() < end:
            access.sleep(_POLL_S)
            self._take()
        if not self._new:
            raise OSError("no record that can be used")
        update_s = meter.update_period_s
        if update_s is None and len(self._new) >= _N_RECORDS:
            update_s = (max(self._new) - min(self._new)) / (len(self._new) - 1) / 1e9
        self.channels = channels(meter, self._decoder, source, update_s)
        self.period_s = min(max((update_s or 1.0) / _LOOKS, _FASTEST_S), _SLOWEST_S)

    def reasons(self) -> str:
        """What went wrong so far, as the end of a sentence."""
        decoder, reasons = self._decoder, []
        if self._transport.trouble is not None:
            reasons.append(str(self._transport.trouble))
        if decoder.n_bad:
            reasons.append(
                f"{decoder.n_bad} records could not be used, the first was {decoder.first_bad!r}, "
                f"expected was {decoder.expected()}"
            )
        if self._n_old:
            reasons.append(f"{self._n_old} records were not later than the one before")
        return "".join(f"; {r}" for r in reasons)

    def close(self) -> None:
        """End the transport."""
        self._transport.close()

    def _take(self) -> None:
        for arrived_ns, text in self._transport.take():
            reading = self._decoder.read(text)
            if reading is None:
                continue
            own_ns = reading.t_ns
            if own_ns is not None and self._own_ns is not None and own_ns <= self._own_ns:
                self._n_old += 1
                continue
            self._own_ns, self._seen_ns = own_ns, arrived_ns
            if own_ns is None or self._meter.time == "arrival":
                self._new[arrived_ns - round(self._meter.latency_s * 1e9)] = reading
            else:
                self._new[own_ns] = reading

    def _settled(self) -> bool:
        """Whether enough came to say how often something comes."""
        if self._meter.update_period_s is not None:
            return bool(self._new)
        return len(self._new) >= _N_RECORDS and max(self._new) - min(self._new) >= _SPAN_NS


def probe(access: Access) -> ExternalMeter:
    """The profile's meter, once it has given a record; waits for at most ``stale_after_s`` or three periods.

    ``update_period_s`` is measured where the profile does not tell it and three records come in that time.

    Raises InputError for a description that can't be used, MissingError where no record comes that can be, and
    DeniedError where it asks for a password or the file may not be read.
    """
    if access.profile.meter is None:
        raise MissingError(
            "No external meter is described.", "Describe one in the profile under `meter:`, by preset or by transport."
        )
    meter, kind = complete(access.profile.meter)
    source = f"{kind} {_address(meter, kind)}"
    try:
        transport = TRANSPORTS[kind](meter, access)
    except (OSError, ValueError) as e:  # a host or a path that can't be one is a ValueError
        raise _absent(meter, kind, source, e) from None
    sensor = ExternalMeter(meter, access, transport)
    try:
        sensor.start(source)
    except BaseException as e:
        sensor.close()
        if isinstance(e, OSError):
            raise _absent(meter, kind, source, transport.trouble or e, f"{e}{sensor.reasons()}") from None
        raise
    return sensor


def _absent(meter: Meter, kind: str, source: str, error: Exception, why: str = "") -> MissingError:
    text = f"The meter {meter.name!r} ({source}) gives nothing: {why or error}."
    if isinstance(error, PermissionError):
        return DeniedError(text, _DENIED_HINT[kind])
    return MissingError(text, "Check that the meter is on and that `meter:` in the profile describes what it gives.")


def _address(meter: Meter, kind: str) -> str:
    return {
        "command": " ".join(meter.argv),
        "csv": meter.path,
        "http": meter.url,
        "mqtt": f"{meter.host}/{meter.topic}",
    }[kind]
