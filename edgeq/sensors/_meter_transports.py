"""How records come from an external meter: lines of a command or a file, answers over HTTP, messages over MQTT."""

from __future__ import annotations

import http.client
import threading
import urllib.error
import urllib.request
from collections import deque
from pathlib import Path
from typing import Any, NamedTuple

from edgeq.access import Access
from edgeq.errors import MissingError
from edgeq.records import Meter

_TIMEOUT_S = 2.0
_MAX_BYTES = 1 << 20
_TAIL_BYTES = 1 << 16
_MQTT_PORT = 1883


class Arrival(NamedTuple):
    """A record and when it came, ns on the host's clock."""

    t_ns: int
    text: str


class Transport:
    """Somewhere that records come from. ``trouble``: the last failure, None once it works again."""

    trouble: OSError | None = None

    def take(self) -> list[Arrival]:
        """What has come since the last call. Raises OSError, with a sentence, once nothing more can come."""
        raise NotImplementedError

    def close(self) -> None:
        """End it, without waiting for the other side."""


class Command(Transport):
    """A program that prints one record a line for as long as it runs."""

    def __init__(self, meter: Meter, access: Access) -> None:
        self._clock = access.clock
        self._name = Path(meter.argv[0]).name
        self._last = ""
        self._lines = access.start(meter.argv)

    def take(self) -> list[Arrival]:
        status = self._lines.poll()  # first, or lines of the last moment would be lost
        lines = self._lines.take()
        now = self._clock()
        if status is not None and not lines:
            last = f"; its last line was: {self._last}" if self._last else ""
            raise OSError(f"{self._name} has ended with exit status {status}{last}")
        self._last = next((line.strip() for line in reversed(lines) if line.strip()), self._last)
        return [Arrival(now, line) for line in lines]

    def close(self) -> None:
        self._lines.close()


class File(Transport):
    """A file that another program appends to. Lines that were there before are not taken: nobody saw them come."""

    def __init__(self, meter: Meter, access: Access) -> None:
        self._clock = access.clock
        self._open = access.opener
        self._path = Path(meter.path).expanduser()
        self._header: list[str] = []
        with self._open(self._path) as f:
            if meter.format == "csv":
                self._header = [f.readline(_TAIL_BYTES).decode("utf-8", "replace")]
            size = f.seek(0, 2)
            start = max(0, size - _TAIL_BYTES)
            f.seek(start)
            # The line that is just being written is taken whole.
            self._offset = start + f.read(_TAIL_BYTES).rfind(b"\n") + 1
        if self._offset == 0:
            self._header = []

    def take(self) -> list[Arrival]:
        with self._open(self._path) as f:
            if f.seek(0, 2) < self._offset:
                raise OSError(f"{self._path} has become shorter: another file took its place")
            f.seek(self._offset)
            data = f.read()
        now = self._clock()
        end = data.rfind(b"\n") + 1
        self._offset += end
        lines = [*self._header, *data[:end].decode("utf-8", "replace").splitlines()]
        self._header = []
        return [Arrival(now, line) for line in lines]


class Http(Transport):
    """An address that is asked every ``period_s`` by a thread of its own, so that a slow answer holds up nobody."""

    def __init__(self, meter: Meter, access: Access) -> None:
        self._clock = access.clock
        self._url = meter.url
        self._period_ns = round(meter.period_s * 1e9)
        self._came: deque[Arrival] = deque()
        self._stop = threading.Event()
        # A meter stands in the local network: what the environment says about proxies is not meant for it.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self._thread = threading.Thread(target=self._loop, daemon=True)
        self._thread.start()

    def take(self) -> list[Arrival]:
        return [self._came.popleft() for _ in range(len(self._came))]

    def close(self) -> None:
        self._stop.set()
        self._thread.join(_TIMEOUT_S)

    def _loop(self) -> None:
        due = self._clock()
        while not self._stop.is_set():
            self._ask()
            now = self._clock()
            due = max(due + self._period_ns, now)
            self._stop.wait((due - now) / 1e9)

    def _ask(self) -> None:
        before = self._clock()
        try:
            with self._opener.open(self._url, timeout=_TIMEOUT_S) as answer:
                text = answer.read(_MAX_BYTES).decode("utf-8", "replace")
        except urllib.error.HTTPError as e:
            kind = PermissionError if e.code in (401, 403) else OSError
            self.trouble = kind(f"it answers with {e.code} {e.reason}")
        except (OSError, ValueError, http.client.HTTPException) as e:
            self.trouble = OSError(f"it does not answer ({getattr(e, 'reason', None) or e or type(e).__name__})")
        else:
            self.trouble = None
            self._came.append(Arrival((before + self._clock()) // 2, text))


class Mqtt(Transport):
    """A topic of a broker."""

    def __init__(self, meter: Meter, access: Access) -> None:
        try:
            mqtt = access.load("paho.mqtt.client")
            client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        except (ImportError, AttributeError):
            raise MissingError(
                "A meter over MQTT needs paho-mqtt 2, which is not installed.", "Install it: pip install 'edgeq[mqtt]'."
            ) from None
        self._clock = access.clock
        self._topic = meter.topic
        self._came: deque[Arrival] = deque()
        self._client = client
        self._client.connect_timeout = _TIMEOUT_S
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = self._on_message
        self._client.connect(meter.host, meter.port or _MQTT_PORT)
        self._client.loop_start()

    def take(self) -> list[Arrival]:
        return [self._came.popleft() for _ in range(len(self._came))]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(self, client: Any, userdata: Any, flags: Any, reason_code: Any, properties: Any) -> None:
        if reason_code.is_failure:
            self.trouble = PermissionError(f"the broker refuses the connection ({reason_code})")
        else:
            self.trouble = None
            client.subscribe(self._topic)

    def _on_disconnect(self, client: Any, userdata: Any, flags: Any, reason_code: Any, properties: Any) -> None:
        self.trouble = self.trouble or OSError("the broker has closed the connection")

    def _on_message(self, client: Any, userdata: Any, message: Any) -> None:
        # A retained message is as old as it likes.
        if not message.retain:
            self._came.append(Arrival(self._clock(), message.payload.decode("utf-8", "replace")))


TRANSPORTS: dict[str, type[Command] | type[File] | type[Http] | type[Mqtt]] = {
    "command": Command, "csv": File, "http": Http, "mqtt": Mqtt,
}  # fmt: skip
