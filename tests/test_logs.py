"""Recordings of other programs: every form that tegrastats has had, powermetrics' true intervals, tables of meters."""

from __future__ import annotations

import plistlib
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq import logs
from edgeq.errors import InputError
from edgeq.logs import meter_log, powermetrics, tegrastats
from edgeq.records import Channel, Meter, Trace


def times_s(trace: Trace) -> list[float]:
    return list(np.frombuffer(trace.t_ns_i64, "<i8") / 1e9)


def values(trace: Trace) -> list[float]:
    return list(np.frombuffer(trace.value_f64, "<f8"))


def by_name(traces: tuple[Trace, ...], quantity: str) -> dict[str, Trace]:
    return {t.channel.name: t for t in traces if t.channel.quantity == quantity}


def totals(traces: tuple[Trace, ...]) -> dict[str, set[str]]:
    """Rails that add up, by scope."""
    found: dict[str, set[str]] = {}
    for t in traces:
        if t.channel.quantity == "power" and t.channel.summand:
            found.setdefault(t.channel.scope, set()).add(t.channel.name)
    return found


# Lines as these releases print them, shortened to what differs.
NANO_L4T_32 = (
    "RAM 613/3964MB (lfb 634x4MB) SWAP 0/1982MB (cached 0MB) CPU [2%@102,1%@204,off,off] EMC_FREQ 0% GR3D_FREQ 0%@76 "
    "PLL@39C CPU@40.5C PMIC@100C GPU@41C AO@46C thermal@41C POM_5V_IN 900/943 POM_5V_GPU 0/0 POM_5V_CPU 123/130"
)
AGX_XAVIER_L4T_32 = (
    "RAM 1903/15692MB (lfb 3251x4MB) CPU [1%@1190,off] EMC_FREQ 0% GR3D_FREQ 0% AO@32.5C GPU@32C PMIC@100C "
    "GPU 0/16 CPU 216/432 SOC 864/953 CV 0/0 VDDRQ 144/488 SYS5V 1889/1559"
)
TX1_L4T_28 = "RAM 3468/3983MB (lfb 48x4MB) cpu [17%,13%,29%,5%]@408 EMC 1%@408 APE 25 GR3D 3%@76"
ORIN_NX_L4T_36 = (
    "RAM 1234/15368MB (lfb 8x4MB) SWAP 0/7684MB (cached 0MB) CPU [0%@729,off] GR3D_FREQ 0%@[305,305] cpu@45.5C "
    "cv0@-256C tj@45.5C VDD_IN 5299mW/4319mW VDD_CPU_GPU_CV 500mW/515mW VDD_SOC 1200mW/1428mW"
)
AGX_ORIN_JETPACK_7 = (
    "07-25-2026 09:08:28 RAM 20642/62817MB (lfb 1x2MB) CPU [23%@2201,10%@2188] GR3D_FREQ 12%@[1300,0] NVENC0 off "
    "cpu@52.968C/51.5C gpu@-256C/-256C VDD_GPU_SOC 5139mW/5000mW/4000mW VDD_CPU_CV 3268mW/3000mW/2000mW "
    "VIN_SYS_5V0 5500mW/5400mW/5300mW NC 0mW/0mW/0mW VDDQ_VDD2_1V8AO 301mW/300mW/300mW"
)
THOR = (
    "RAM 4722/125772MB (lfb 1x512kB) CPU [12%@972,off] GR3D_FREQ @[1000,990,1000] "
    "VDD_GPU -392mW/0mW VDD_CPU_SOC_MSS 7910mW/7900mW VIN_SYS_5V0 7620mW/7600mW VIN 26686mW/26000mW"
)


@pytest.mark.parametrize(
    ("line", "watts", "total", "degrees", "gpu_mhz", "cpu_mhz"),
    [
        (NANO_L4T_32, {"POM_5V_IN": 0.9, "POM_5V_GPU": 0, "POM_5V_CPU": 0.123}, {"board": {"POM_5V_IN"}},
         {"PLL": 39, "CPU": 40.5, "GPU": 41, "AO": 46, "thermal": 41}, 76, 204),
        (AGX_XAVIER_L4T_32, {"GPU": 0, "CPU": 0.216, "SOC": 0.864, "CV": 0, "VDDRQ": 0.144, "SYS5V": 1.889},
         {"module": {"GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"}}, {"AO": 32.5, "GPU": 32}, None, 1190),
        (TX1_L4T_28, {}, {}, {}, 76, 408),
        (ORIN_NX_L4T_36, {"VDD_IN": 5.299, "VDD_CPU_GPU_CV": 0.5, "VDD_SOC": 1.2}, {"module": {"VDD_IN"}},
         {"cpu": 45.5, "tj": 45.5}, 305, 729),
        (AGX_ORIN_JETPACK_7,
         {"VDD_GPU_SOC": 5.139, "VDD_CPU_CV": 3.268, "VIN_SYS_5V0": 5.5, "VDDQ_VDD2_1V8AO": 0.301},
         {"module": {"VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"}}, {"cpu": 52.968}, 1300, 2201),
        (THOR, {"VDD_GPU": -0.392, "VDD_CPU_SOC_MSS": 7.91, "VIN_SYS_5V0": 7.62, "VIN": 26.686}, {"board": {"VIN"}},
         {}, 1000, 972),
    ],
    ids=["nano", "agx-xavier", "tx1", "orin-nx", "agx-orin", "thor"],
)  # fmt: skip
def test_tegrastats_of_every_release_without_averages_dummies_and_zones_that_are_off(
    line: str,
    watts: dict[str, float],
    total: dict[str, set[str]],
    degrees: dict[str, float],
    gpu_mhz: Any,
    cpu_mhz: int,
) -> None:
    assert tegrastats.recognizes(line.encode())
    traces = tegrastats.parse(line.encode(), "log", 1.0)
    assert {n: values(t) for n, t in by_name(traces, "power").items()} == {n: [w] for n, w in watts.items()}
    assert totals(traces) == total
    assert {n: values(t) for n, t in by_name(traces, "temperature").items()} == {n: [c] for n, c in degrees.items()}
    clocks = {n: values(t)[0] / 1e6 for n, t in by_name(traces, "frequency").items()}
    assert clocks == {"CPU": cpu_mhz, **({"GR3D": gpu_mhz} if gpu_mhz else {})}
    assert values(by_name(traces, "memory")["RAM"]) == [int(line.split("RAM ")[1].split("/")[0]) * 2**20]
    assert all(t.channel.clock == "device" for t in traces)


def test_a_zone_that_is_switched_off_for_a_while_leaves_a_gap() -> None:
    text = "\n".join(f"RAM 1/2MB (lfb 1x4MB) GPU@{c}C VDD_IN {w}/1" for c, w in [(40, 1000), (-256, 2000), (41, 3000)])
    traces = tegrastats.parse(text.encode(), "log", 0.5)
    assert times_s(by_name(traces, "temperature")["GPU"]) == [0, 1.0]
    assert times_s(by_name(traces, "power")["VDD_IN"]) == [0, 0.5, 1.0]
    assert by_name(traces, "power")["VDD_IN"].channel.update_period_s == 0.5


def test_tegrastats_without_times_must_be_told_its_interval() -> None:
    with pytest.raises(InputError, match="when its lines were written") as e:
        tegrastats.parse(NANO_L4T_32.encode(), "log")
    assert "--interval" in e.value.hint
    with pytest.raises(InputError, match="interval of -1"):
        tegrastats.parse(NANO_L4T_32.encode(), "log", -1.0)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30))
def test_dated_lines_lie_within_their_second_and_in_order(steps_s: list[int]) -> None:
    start = datetime(2026, 12, 31, 23, 59, 50)
    seconds = list(np.cumsum(steps_s) - steps_s[0])
    lines = [
        f"{start + timedelta(seconds=int(s)):%m-%d-%Y %H:%M:%S} RAM {i}/99MB (lfb 1x4MB)" for i, s in enumerate(seconds)
    ]
    (ram,) = tegrastats.parse("\n".join(lines).encode(), "log")
    found = times_s(ram)
    assert [int(t) for t in found] == seconds
    assert found == sorted(set(found))


def test_a_local_clock_that_was_set_back_leaves_lines_out() -> None:
    lines = [f"11-01-2026 01:59:{s} RAM {s}/99MB (lfb 1x4MB)" for s in (50, 51, 40, 52)]
    (ram,) = tegrastats.parse("\n".join(lines).encode(), "log")
    assert values(ram) == [50 * 2**20, 51 * 2**20, 52 * 2**20]


# powermetrics


def interval(elapsed_ns: int, **more: Any) -> bytes:
    content = {
        "is_delta": True,
        "elapsed_ns": elapsed_ns,
        "thermal_pressure": "Nominal",
        "processor": {
            "cpu_power": 2978.45, "gpu_power": 269.614, "ane_power": 0.0, "combined_power": 3248.07,
            "clusters": [{"name": "P-Cluster", "freq_hz": 3204000000.0}],
        },
        "gpu": {"freq_hz": 338.0, "idle_ratio": 0.877, "gpu_energy": 284},
        **more,
    }  # fmt: skip
    return plistlib.dumps(content)


def test_powermetrics_energy_is_power_times_elapsed_ns_and_not_times_the_requested_interval() -> None:
    # Asked for 100 ms, it takes longer, each time by a different amount.
    lengths = [104_500_000, 131_000_000, 101_200_000]
    traces = powermetrics.parse(b"\0".join(map(interval, lengths)), "pm.plist")
    energy = by_name(traces, "energy")
    total = energy["combined"]
    assert values(total) == pytest.approx([3.24807 * sum(lengths[:i]) / 1e9 for i in range(4)])
    assert times_s(total) == pytest.approx([sum(lengths[:i]) / 1e9 for i in range(4)])
    assert values(energy["gpu"])[-1] == pytest.approx(0.269614 * sum(lengths) / 1e9)
    assert {n for n, t in energy.items() if t.channel.summand} == {"combined"}
    assert all(t.channel.estimated and t.channel.scope == "package" for t in energy.values())


def test_powermetrics_gpu_freq_hz_is_in_mhz() -> None:
    clocks = by_name(powermetrics.parse(interval(10**9), "pm.plist"), "frequency")
    assert values(clocks["gpu"]) == [338e6]
    assert values(clocks["P-Cluster"]) == [3204e6]


def test_powermetrics_thermal_pressure_is_a_flag() -> None:
    data = b"\0".join([interval(10**9), interval(10**9, thermal_pressure="Heavy")])
    (flag,) = by_name(powermetrics.parse(data, "pm.plist"), "throttle").values()
    assert (values(flag), times_s(flag), flag.channel.unit) == ([0, 1], [1, 2], "flag")


def test_powermetrics_parts_are_added_where_there_is_no_combined_power() -> None:
    data = interval(10**9, processor={"cpu_power": 1000, "gpu_power": 500.0, "ane_power": True})
    energy = by_name(powermetrics.parse(data, "pm.plist"), "energy")
    assert {n: values(t)[-1] for n, t in energy.items() if t.channel.summand} == {"cpu": 1.0, "gpu": 0.5}


def test_powermetrics_cut_off_at_its_end_and_a_list_since_the_start_of_the_machine() -> None:
    whole = interval(10**9)
    data = b"\0".join([interval(10**13, is_delta=False), whole, whole, whole[: len(whole) // 2]])
    assert times_s(by_name(powermetrics.parse(data, "pm.plist"), "energy")["cpu"]) == [0, 1, 2]
    with pytest.raises(InputError, match="list 1 of 2 is damaged"):
        powermetrics.parse(b"\0".join([whole[: len(whole) // 2], whole]), "pm.plist")
    with pytest.raises(InputError, match="lasts -5 ns"):
        powermetrics.parse(interval(-5), "pm.plist")


# Tables of meters


def test_a_table_with_obvious_names_on_the_clock_of_the_file() -> None:
    data = b"\xef\xbb\xbftime;power_w;energy_wh\n1762415000.25;5.5;0.001\n1762415000.75;6.5;0.003\n"
    power, energy = meter_log.parse(data, "run.csv", Meter("wall", "plug"))
    assert np.frombuffer(power.t_ns_i64, "<i8").tolist() == [1762415000250000000, 1762415000750000000]
    assert values(power) == [5.5, 6.5]
    assert values(energy) == pytest.approx([3.6, 10.8])
    channel: Channel = energy.channel
    assert (channel.scope, channel.summand, channel.clock, channel.lsb) == ("wall", False, "device", pytest.approx(3.6))
    assert power.channel.update_period_s == 0.5


def test_a_log_of_fnirsi_whose_packets_overlap_goes_forward_only() -> None:
    text = "timestamp sample_in_packet voltage_V current_A\n" + "".join(
        f"{t} 0 5.0 {i}\n" for i, t in enumerate([805, 784, 794, 804, 814])
    )
    meter = Meter("board", format="regex", pattern=r"^(\d+) \d (\S+) (\S+)$", fields={"t_s": "1", "power_w": "3"})
    (power,) = meter_log.parse(text.encode(), "fnirsi.txt", meter)
    assert values(power) == [0, 4]


@pytest.mark.parametrize(
    ("text", "meter", "match"),
    [
        ("t_s,power_w\n1,2\n", None, "what the meter of x.csv saw"),
        ("power_w,energy_j\n1,2\n", Meter("wall"), "when its values were taken"),
        ("t_s,power_w\nx,y\n", Meter("wall"), "no record that can be used: the first line was 'x,y'"),
        ("something else\n", None, "no recording that edgeq knows"),
        ("", None, "no recording that edgeq knows"),
    ],
)
def test_what_can_not_be_read_is_said(text: str, meter: Meter | None, match: str, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=match) as e:
        logs.read(path, meter)
    assert e.value.hint


def test_the_kind_of_a_recording_is_told_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "recording"
    for content, sensor in [
        (interval(10**9), "powermetrics"),
        (b"\0" + interval(10**9), "powermetrics"),
        (AGX_ORIN_JETPACK_7.encode(), "tegrastats"),
        (b"t_s,power_w\n1,2\n", "meter"),
    ]:
        path.write_bytes(content)
        assert {t.channel.sensor for t in logs.read(path, Meter("wall"))} == {sensor}
    with pytest.raises(InputError, match="can't be read"):
        logs.read(tmp_path / "none")


@given(st.binary(max_size=200))
def test_any_bytes_give_traces_or_an_input_error(data: bytes) -> None:
    for parse in (
        lambda: powermetrics.parse(b"<?xml?><plist elapsed_ns" + data, "x"),
        lambda: tegrastats.parse(b"RAM 1/2MB (lfb 1x1MB) " + data, "x", 1.0),
        lambda: meter_log.parse(b"t_s,power_w\n1,2\n" + data, "x", Meter("wall")),
    ):
        try:
            parse()
        except InputError as e:
            assert e.text
