"""External meters: real servers, real child processes, a real broker, and everything that goes wrong with them."""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edgeq.access import Access
from edgeq.errors import DeniedError, MissingError
from edgeq.records import Meter, Profile
from edgeq.sensors import Sample, Sensor
from edgeq.sensors.meter import probe


class Clock:
    """The real clock, and a way to be later."""

    ahead_ns = 0

    def __call__(self) -> int:
        return time.monotonic_ns() + self.ahead_ns


def access(meter: Meter | None, **more: Any) -> Access:
    return Access(profile=Profile("test", meter=meter), **more)


def power_of(sensor: Sensor, at_least: int = 1) -> list[Sample]:
    """Samples of the first channel, once there are so many."""
    samples: list[Sample] = []
    end = time.monotonic() + 5
    while len(samples) < at_least and time.monotonic() < end:
        samples += [s for s in sensor.read() if s.channel == 0]
        time.sleep(0.005)
    assert len(samples) >= at_least
    return samples


# Over HTTP

SHELLY = {"id": 0, "source": "WS_in", "output": True, "apower": 4.1, "voltage": 242.5, "aenergy": {"total": 18.015}}
TASMOTA = {"StatusSNS": {"Time": "2026-11-06T20:06:19", "ENERGY": {"Total": 0.003, "Power": 26, "Voltage": 239}}}


@contextmanager
def plug(answer: Callable[[str], tuple[int, str]]) -> Iterator[int]:
    """A server whose answer (status, text) depends on the path; gives its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, text = answer(self.path)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize(
    ("preset", "path", "answer", "watts", "lsb_w", "joules", "lsb_j"),
    [
        ("shelly", "/rpc/Switch.GetStatus?id=0", SHELLY, 4.1, 0.1, 18.015 * 3600, 3.6),
        ("tasmota", "/cm?cmnd=Status%208", TASMOTA, 26.0, 1.0, 0.003 * 3.6e6, 3600.0),
    ],
)
def test_a_smart_plug_by_preset(
    preset: Any, path: str, answer: object, watts: float, lsb_w: float, joules: float, lsb_j: float
) -> None:
    with plug(lambda p: (200, json.dumps(answer)) if p == path else (404, "")) as port:
        sensor = probe(access(Meter("wall", "plug", preset=preset, host="127.0.0.1", port=port)))
        with closing(sensor):
            power, energy = sensor.channels
            samples = {s.channel: s for s in sensor.read()}
    assert samples[0].value == watts
    assert samples[1].value == pytest.approx(joules)
    assert (power.kind, power.unit, power.scope, power.update_period_s, power.clock) == (
        "gauge",
        "W",
        "wall",
        1,
        "host",
    )
    assert (energy.kind, energy.unit, energy.quantity) == ("counter", "J", "energy")
    assert (power.lsb, energy.lsb) == (pytest.approx(lsb_w), pytest.approx(lsb_j))
    assert (power.summand, energy.summand) == (True, False)
    assert power.source == f"http http://127.0.0.1:{port}{path}"


def test_a_slow_answer_holds_up_nobody_and_is_stamped_in_its_middle() -> None:
    def answer(path: str) -> tuple[int, str]:
        time.sleep(0.3)
        return 200, '{"p": 5.0}'

    with plug(answer) as port:
        meter = Meter("wall", transport="http", url=f"http://127.0.0.1:{port}/", fields={"power_w": "/p"},
                      update_period_s=0.1, period_s=0.05)  # fmt: skip
        asked_ns = time.monotonic_ns()
        with closing(probe(access(meter))) as sensor:
            answered_ns = time.monotonic_ns()
            (sample,) = sensor.read()
            assert sample.t_ns is not None
            assert asked_ns + 50e6 < sample.t_ns < answered_ns - 100e6
            before = time.monotonic()
            sensor.read()
            assert time.monotonic() - before < 0.1


def test_a_plug_with_a_password_is_denied_and_one_that_is_off_is_missing() -> None:
    with plug(lambda path: (401, "")) as port:
        meter = Meter("wall", transport="http", url=f"http://127.0.0.1:{port}/", fields={"power_w": "/p"},
                      stale_after_s=0.2, period_s=0.05)  # fmt: skip
        with pytest.raises(DeniedError, match="401") as denied:
            probe(access(meter))
        assert "password" in denied.value.hint
    with pytest.raises(MissingError, match="does not answer"):
        probe(access(meter))


# A command

JSON = {"power_w": "/p", "energy_j": "/e"}


def command(code: str, **more: Any) -> Meter:
    """A meter whose command is a Python program."""
    argv = (sys.executable, "-c", f"import time\n{code}")
    return Meter(**{"scope": "board", "transport": "command", "argv": argv, "fields": {"power_w": "/p"}, **more})


def test_a_command_that_prints_json() -> None:
    code = 't = 0\nwhile True:\n  t += 1\n  print(\'{"p": 5.25, "e": %d}\' % (t * 10))\n  time.sleep(0.05)'
    meter = command(code, fields=JSON, latency_s=100.0, gain_error=0.01, offset_error_w=0.1, window_s=0.05)
    with closing(probe(access(meter))) as sensor:
        power, energy = sensor.channels
        samples = sensor.read()
        now = time.monotonic_ns()
    # It sleeps for 0.05 s between two lines, and on a busy machine longer.
    assert power.update_period_s is not None and 0.045 < power.update_period_s < 0.5
    assert (power.kind, power.window_s, power.lsb) == ("average", 0.05, 0.01)
    assert power.accuracy == "±1 % of the reading and ±0.1 W, as declared in the profile"
    assert energy.lsb == 1.0
    joules = [s.value for s in samples if s.channel == 1]
    assert joules == sorted(joules)
    assert len(joules) >= 3
    assert {s.value for s in samples if s.channel == 0} == {5.25}
    assert all(s.t_ns is not None and 100e9 < now - s.t_ns < 105e9 for s in samples)  # less the latency


@pytest.mark.parametrize(
    ("first", "more"),
    [
        ("meter 1.0\\nw;wh\\n7.5;2", {"format": "csv", "fields": {"power_w": "w", "energy_wh": "wh"}}),
        ("P= 7.5 W E=2 Wh", {"format": "regex", "pattern": r"P= *(\S+) W E=(?P<e>\S+)",
                             "fields": {"power_w": "1", "energy_wh": "e"}}),
    ],
    ids=["csv", "regex"],
)  # fmt: skip
def test_a_command_that_prints_something_else(first: str, more: dict[str, Any]) -> None:
    meter = command(f"print('{first}')\ntime.sleep(60)", update_period_s=1.0, **more)
    with closing(probe(access(meter))) as sensor:
        assert [s.value for s in sensor.read()] == [7.5, 7200.0]


def test_a_command_that_prints_nothing_to_use_is_missing_with_its_first_line() -> None:
    meter = command("print('hello')\nprint('{\"p\": true}')\ntime.sleep(60)", stale_after_s=0.6, period_s=0.1)
    with pytest.raises(MissingError, match=r"2 records.*'hello'.*power_w at /p"):
        probe(access(meter))


def test_a_command_that_dies_says_how() -> None:
    with pytest.raises(MissingError, match="exit status 3; its last line was: no such device"):
        probe(access(command("print('no such device')\nraise SystemExit(3)")))
    with pytest.raises(MissingError, match="exit status 127"):
        probe(access(command("", argv=("edgeq-no-such-program",))))


def test_a_command_that_dies_later_is_a_fault() -> None:
    meter = command("print('{\"p\": 1}')\ntime.sleep(0.2)\nraise SystemExit(7)", update_period_s=1.0)
    with closing(probe(access(meter))) as sensor, pytest.raises(OSError, match="exit status 7"):
        for _ in range(500):
            sensor.read()
            time.sleep(0.01)


def test_a_meter_that_stalls_is_a_fault_and_no_constant() -> None:
    clock = Clock()
    meter = command("print('{\"p\": 1}')\ntime.sleep(60)", update_period_s=1.0, stale_after_s=5.0)
    with closing(probe(access(meter, clock=clock))) as sensor:
        assert [s.value for s in sensor.read()] == [1.0]
        assert sensor.read() == []
        clock.ahead_ns = 6_000_000_000
        with pytest.raises(OSError, match="nothing new for 5 s"):
            sensor.read()


def test_fnirsi_packet_times_that_go_backwards_are_dropped() -> None:
    # Four values in a packet of 40 ms, and the second packet begins before the first one ends.
    times = [0.775, 0.785, 0.795, 0.805, 0.784, 0.794, 0.804, 0.814]
    code = f"for i, t in enumerate({times}):\n  print('%.6f,%d' % (1762415000 + t, i))\ntime.sleep(60)"
    meter = command(f"print('t,w')\n{code}", format="csv", fields={"t_s": "t", "power_w": "w"}, time="field",
                    update_period_s=0.01)  # fmt: skip
    with closing(probe(access(meter))) as sensor:
        samples = power_of(sensor, 5)
        assert sensor.channels[0].clock == "device"
    assert [s.value for s in samples] == [0, 1, 2, 3, 7]
    assert [s.t_ns - 1762415000 * 10**9 for s in samples] == [775e6, 785e6, 795e6, 805e6, 814e6]


def test_a_record_with_the_same_time_as_the_last_is_stale() -> None:
    clock = Clock()
    code = 'print(\'{"p": 1, "t": 7}\')\nwhile True:\n  print(\'{"p": 1, "t": 7}\')\n  time.sleep(0.02)'
    meter = command(code, fields={"power_w": "/p", "t_s": "/t"}, update_period_s=0.02)
    with closing(probe(access(meter, clock=clock))) as sensor:
        assert len(sensor.read()) == 1
        time.sleep(0.1)
        assert sensor.read() == []
        clock.ahead_ns = 10_000_000_000
        with pytest.raises(OSError, match="not later than the one before"):
            sensor.read()


def test_a_counter_that_restarts_is_passed_on_as_it_is() -> None:
    code = "for e in (100, 200, 5, 15):\n  print('{\"e\": %d}' % e)\n  time.sleep(0.05)\ntime.sleep(60)"
    meter = command(code, fields={"energy_j": "/e"}, update_period_s=0.05)
    with closing(probe(access(meter))) as sensor:
        assert [s.value for s in power_of(sensor, 4)] == [100, 200, 5, 15]
        assert sensor.channels[0].summand


# A file

ROWS = {"power_w": "P", "energy_wh": "E"}


def test_a_file_is_followed_from_its_end_and_torn_lines_are_put_together(tmp_path: Path) -> None:
    path = tmp_path / "run.csv"
    path.write_text("P,E\n99,99\n98,9")

    def write() -> None:
        time.sleep(0.05)
        for text in ("8\n12.5", "0,3", ".5\n", "1,2,3\nnan,1\n"):
            with path.open("a") as f:
                f.write(text)
            time.sleep(0.03)

    writer = threading.Thread(target=write)
    writer.start()
    meter = Meter("board", transport="csv", path=str(path), fields=ROWS, update_period_s=0.01)
    with closing(probe(access(meter))) as sensor:
        samples = power_of(sensor, 2)
        writer.join()
        assert sensor.read() == []
        # The row that was being written is taken whole; the one before it was there already.
        assert [s.value for s in samples] == [98.0, 12.5]
        path.write_text("P,E\n")
        with pytest.raises(OSError, match="shorter"):
            sensor.read()


def test_a_file_that_is_not_there_and_one_that_may_not_be_read(tmp_path: Path) -> None:
    meter = Meter("board", transport="csv", path=str(tmp_path / "none.csv"), fields=ROWS)
    with pytest.raises(MissingError) as missing:
        probe(access(meter))
    assert "none.csv" in missing.value.text

    def denied(path: Path) -> Any:
        raise PermissionError(13, "Permission denied", str(path))

    with pytest.raises(DeniedError) as e:
        probe(access(meter, opener=denied))
    assert "chmod" in e.value.hint


# MQTT


class Broker:
    """As much of MQTT 3.1.1 as one subscriber needs: it publishes its messages to whoever subscribes."""

    def __init__(self, messages: list[tuple[bool, str]]) -> None:
        self._messages = messages
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        try:
            link, _ = self._server.accept()
        except OSError:
            return
        with link, link.makefile("rb") as received:
            while head := received.read(2):
                body = received.read(head[1])
                if head[0] >> 4 == 1:
                    link.sendall(b"\x20\x02\x00\x00")
                elif head[0] >> 4 == 8:
                    link.sendall(b"\x90\x03" + body[:2] + b"\x00")
                    for retained, text in self._messages:
                        packet = b"\x00\x01t" + text.encode()
                        link.sendall(bytes([0x30 | retained, len(packet)]) + packet)
                        time.sleep(0.02)

    def close(self) -> None:
        self._server.close()


def test_a_topic_is_read_and_what_was_retained_is_not() -> None:
    pytest.importorskip("paho.mqtt.client")
    messages = [(True, '{"P": 99}'), (False, "offline"), (False, '{"P": 6.5}')]
    with closing(Broker(messages)) as broker:
        meter = Meter("wall", transport="mqtt", host="127.0.0.1", port=broker.port, topic="t",
                      fields={"power_w": "/P"}, update_period_s=1.0)  # fmt: skip
        with closing(probe(access(meter))) as sensor:
            assert [s.value for s in sensor.read()] == [6.5]
            assert sensor.channels[0].source == "mqtt 127.0.0.1/t"
    with pytest.raises(MissingError, match="refused"):
        probe(access(meter))


def test_without_paho_it_says_what_to_install() -> None:
    def load(name: str) -> Any:
        raise ModuleNotFoundError(name)

    meter = Meter("wall", transport="mqtt", host="127.0.0.1", topic="t", fields={"power_w": "/P"})
    with pytest.raises(MissingError) as e:
        probe(access(meter, load=load))
    assert "edgeq[mqtt]" in e.value.hint


def test_no_thread_and_no_process_is_left_by_close_or_by_a_meter_that_fails() -> None:
    psutil = pytest.importorskip("psutil")
    children, threads = set(psutil.Process().children(recursive=True)), set(threading.enumerate())
    good = command("while True:\n  print('{\"p\": 1}')\n  time.sleep(0.05)", update_period_s=0.05)
    probe(access(good)).close()
    with pytest.raises(MissingError) as failed:  # whose traceback holds on to the meter
        probe(access(command("time.sleep(60)", stale_after_s=0.2, period_s=0.05)))
    assert set(psutil.Process().children(recursive=True)) <= children
    with plug(lambda path: (200, '{"p": 1}' if path == "/good" else "{}")) as port:
        url = f"http://127.0.0.1:{port}"
        meter = Meter(
            "wall", transport="http", url=f"{url}/good", fields={"power_w": "/p"}, stale_after_s=0.2, period_s=0.05
        )
        probe(access(meter)).close()
        with pytest.raises(MissingError) as failed:
            probe(access(msgspec.structs.replace(meter, url=f"{url}/bad")))
    assert failed.value.text
    assert {t for t in threading.enumerate() if t.is_alive()} <= threads
