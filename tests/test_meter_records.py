"""How a meter is described and what counts as a number: a wrong key is named, a record without one is skipped."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.access import Access
from edgeq.errors import InputError, MissingError
from edgeq.records import Meter, Profile
from edgeq.sensors._meter_parse import Decoder
from edgeq.sensors.meter import probe


def test_without_a_description_there_is_no_meter() -> None:
    with pytest.raises(MissingError, match="No external meter is described") as e:
        probe(Access(profile=Profile("test")))
    assert "meter:" in e.value.hint


P = {"power_w": "/p"}


@pytest.mark.parametrize(
    ("meter", "key"),
    [
        (Meter("wall"), "meter.transport"),
        (Meter("wall", preset="shelly"), "meter.host"),
        (Meter("wall", preset="tasmota", host="http://10.0.0.5/"), "meter.host"),
        (Meter("wall", transport="command", fields=P), "meter.argv"),
        (Meter("wall", transport="csv", fields=P), "meter.path"),
        (Meter("wall", transport="http", fields=P), "meter.url"),
        (Meter("wall", transport="http", url="file:///etc/passwd", fields=P), "meter.url"),
        (Meter("wall", transport="mqtt", host="h", fields=P), "meter.topic"),
        (Meter("wall", transport="mqtt", host="h", topic="tele/+/SENSOR", fields=P), "meter.topic"),
        (Meter("wall", transport="http", url="http://h", format="csv", fields=P), "meter.format"),
        (Meter("wall", transport="command", argv=("x",)), "meter.fields"),
        (Meter("wall", transport="command", argv=("x",), fields={"t_s": "/t"}), "meter.fields"),
        (Meter("wall", transport="command", argv=("x",), fields={"watts": "/t"}), "meter.fields.watts"),
        (Meter("wall", transport="command", argv=("x",), fields={"power_w": "p"}), "meter.fields.power_w"),
        (Meter("wall", transport="command", argv=("x",), fields={"energy_j": "/a", "energy_wh": "/b"}), "meter.fields"),
        (Meter("wall", transport="command", argv=("x",), fields=P, time="field"), "meter.fields.t_s"),
        (Meter("wall", transport="command", argv=("x",), fields=P, format="regex"), "meter.pattern"),
        (Meter("wall", transport="command", argv=("x",), fields=P, format="regex", pattern="("), "meter.pattern"),
        (Meter("wall", transport="csv", path="x", fields=P, format="regex", pattern="(a)"), "meter.fields.power_w"),
        (Meter("wall", transport="command", argv=("x",), fields=P, period_s=0.0), "meter.period_s"),
        (Meter("wall", transport="command", argv=("x",), fields=P, latency_s=math.nan), "meter.latency_s"),
        (Meter("wall", transport="command", argv=("x",), fields=P, update_period_s=10.0), "meter.stale_after_s"),
    ],
)  # fmt: skip
def test_a_description_that_cannot_be_used_names_its_key(meter: Meter, key: str) -> None:
    with pytest.raises(InputError, match=rf"^{key} ") as e:
        probe(Access(profile=Profile("test", meter=meter)))
    assert e.value.hint


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["p", "e", "t"]), inner, max_size=3),
    max_leaves=8,
)
FORMATS = {
    "json": Meter("wall", format="json", fields={"power_w": "/p", "energy_wh": "/e", "t_s": "/t"}),
    "csv": Meter("wall", format="csv", fields={"power_w": "p", "energy_wh": "e", "t_s": "t"}),
    "regex": Meter("wall", format="regex", pattern="p(.*)e(.*)t(.*)",
                   fields={"power_w": "1", "energy_wh": "2", "t_s": "3"}),
}  # fmt: skip
NUMBERS = st.floats().map(str) | st.sampled_from(["1e999", "1_0", "0x10", "٣", "1e400000000", "sNaN", "-0", "9e9999"])


@given(st.sampled_from(["json", "csv", "regex"]), st.lists(st.text() | JSON_VALUES.map(json.dumps), max_size=5))
def test_any_text_gives_finite_numbers_or_nothing(format: str, texts: list[str]) -> None:
    decoder = Decoder(FORMATS[format])
    for text in ["p,e,t", *texts]:
        finite_or_nothing(decoder, text)


@given(st.sampled_from(["json", "csv", "regex"]), NUMBERS, NUMBERS, NUMBERS)
def test_any_number_gives_finite_numbers_or_nothing(format: str, p: str, e: str, t: str) -> None:
    shape = {"json": '{"p": %s, "e": %s, "t": %s}', "csv": "%s,%s,%s", "regex": "p%se%st%s"}[format]
    decoder = Decoder(FORMATS[format])
    decoder.read("p,e,t")
    finite_or_nothing(decoder, shape % (p, e, t))


def finite_or_nothing(decoder: Decoder, text: str) -> None:
    reading = decoder.read(text)
    if reading is not None:
        assert reading.power_w is not None
        assert reading.energy_j is not None
        assert reading.t_ns is not None
        assert math.isfinite(reading.power_w)
        assert math.isfinite(reading.energy_j)
        assert -(2**63) <= reading.t_ns < 2**63


@pytest.mark.parametrize("value", ["true", '"5"', "null", "NaN", "Infinity", "1e999", "[5]", "{}"])
def test_what_is_no_number_is_no_power(value: str) -> None:
    decoder = Decoder(Meter("wall", format="json", fields=P))
    assert decoder.read(f'{{"p": {value}}}') is None
    assert decoder.n_bad == 1


def test_pointers_reach_into_lists_and_names_with_slashes() -> None:
    decoder = Decoder(Meter("wall", format="json", fields={"power_w": "/em1:0/a~1b/1"}))
    reading = decoder.read('{"em1:0": {"a/b": [1, 2.50]}}')
    assert reading is not None
    assert (reading.power_w, decoder.step_w) == (2.5, 0.01)
