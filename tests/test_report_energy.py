"""Energy, cost, memory and throttling in the report: no estimate as a measurement, no figure without its scope."""

from __future__ import annotations

import csv as stdlib
import io
import re
import unicodedata
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from rich.cells import cell_len

from edgeq import report
from edgeq.records import (
    BenchSettings,
    BenchTest,
    Comparison,
    Cost,
    Energy,
    Estimate,
    Host,
    Memory,
    Row,
    Speed,
    Summary,
    Tariff,
    Throttling,
)
from edgeq.report import energy
from edgeq.report.charts import energy_charts, speed_charts
from edgeq.report.figures import interval
from tests.test_report import HOSTILE, Page, make_row, make_summary, own, printed

MIB = 2**20
ORIN = "NVIDIA Jetson Orin Nano Super"
TARIFF = Tariff(per_kwh=0.30, efficiency=0.85, device_price=249.0, life_h=26_280.0, utilization=0.5)
TOO_SHORT = "the tests lasted 31 s, and the meter needs 100 s for 1 %"
# File type, bpw, KLD, pp512 t/s, tg128 t/s, watts in prefill and in decode: made up, in the range of an Orin Nano.
ORIN_FILES = (
    ("F16", 16.01, None, 1893.0, 21.14, 12.9, 10.8),
    ("Q8_0", 8.51, 0.00042, 2011.0, 35.02, 12.4, 10.4),
    ("Q4_K_M", 5.18, 0.0213, 1874.0, 48.71, 12.6, 9.9),
    ("IQ2_M", 3.21, 0.281, 1402.0, 41.63, 13.1, 11.2),
)


def energies(test: str, tps: float, watts: float, n_tokens: int) -> tuple[Energy, ...]:
    """What a Jetson gives: the module's input measured, one rail of it, and a wall meter that was too slow."""
    idle, window_s = 4.76, n_tokens / tps
    return (
        Energy(
            test, "module", "ina3221 VDD_IN", False, True, n_tokens, window_s,
            Estimate(watts / tps, 0.0091 * watts / tps), Estimate((watts - idle) / tps, 0.017 * watts / tps),
            Estimate(watts, 0.11), watts + 1.9, Estimate(idle, 0.05), Estimate(idle + 0.21, 0.05),
        ),
        Energy(
            test, "rail", "ina3221 VDD_CPU_GPU_CV", False, False, n_tokens, window_s,
            Estimate(0.5 * watts / tps, 0.008 * watts / tps), Estimate((0.5 * watts - 0.6) / tps, 0.01 * watts / tps),
            Estimate(0.5 * watts, 0.07), 0.5 * watts + 1.8, Estimate(0.6, 0.04), None,
        ),
        Energy(test, "wall", "shelly", False, False, n_tokens, window_s, missing=TOO_SHORT),
    )  # fmt: skip


def orin_row(
    file_type: str, bpw: float, kld: float | None, pp: float, tg: float, prefill_w: float, decode_w: float
) -> Row:
    n_bytes = int(bpw * 1_235_814_432 / 8)
    speeds = (
        Speed("pp512", 10, Estimate(pp, 0.004 * pp), Estimate(512 / pp, 0.001), ci95_tps=(0.991 * pp, 1.009 * pp)),
        Speed("tg128", 10, Estimate(tg, 0.003 * tg), None, 1 / tg, 1.02 / tg, 1.1 / tg, (0.993 * tg, 1.007 * tg)),
    )
    # 0.30 per kWh and 0.85 of the energy at the wall: (J/token) / 0.85 * 0.30 / 3.6 per million tokens.
    basis = "module energy over an efficiency of 0.85"
    kv = {"pp512": 16 * MIB, "tg128": 4 * MIB}
    return replace(
        make_row(file_type, bpw, kld, name="Llama 3.2 1B", device=ORIN, reference=kld is None),
        n_bytes=n_bytes,
        speeds=speeds,
        load_s=1.9,
        rss_peak_bytes=n_bytes + 310 * MIB,
        energies=(*energies("pp512", pp, prefill_w, 61_440), *energies("tg128", tg, decode_w, 1280)),
        costs=tuple(
            Cost(test, Estimate(at_wall, 0.01 * at_wall), 249 / (13_140 * 0.0036 * tps), True, basis)
            for test, tps, at_wall in (("pp512", pp, prefill_w / pp / 10.2), ("tg128", tg, decode_w / tg / 10.2))
        ),
        memory=Memory(n_bytes + 310 * MIB, 290 * MIB, n_bytes, n_bytes + 402 * MIB, kv_bytes=kv),
        throttling=Throttling("none"),
        temperature_max_c=61.5,
        sampler_share=0.0041,
    )


@cache
def orin() -> Summary:
    """Four files on a Jetson Orin Nano: one drifting and throttled, one without net energy."""
    first, whole, small, slow = (orin_row(*facts) for facts in ORIN_FILES)
    slow = replace(
        slow,
        speeds=(slow.speeds[0], Speed("tg128", 10, Estimate(41.63), state=("drifting",))),
        throttling=Throttling("confirmed", "over-current: soctherm oc3 counted 412 events", 0.12),
        temperature_max_c=74.0,
    )
    cut = replace(whole.energies[3], net_j_per_token=None, idle_w=None, missing="the idle phase after it was cut")
    whole = replace(whole, energies=(*whole.energies[:3], cut, *whole.energies[4:]), memory=None)
    host = Host(
        ORIN, "aarch64", 6, 6, ("neon", "dotprod"), ("Orin (sm_87)",), "Ubuntu 22.04", "5.15.148-tegra", 8 * 2**30,
        "schedutil", "3.10.12", "15W", "mains", 40 * MIB,
    )  # fmt: skip
    bench = BenchSettings((BenchTest(512, 0), BenchTest(0, 128)), 10, 6, n_gpu_layers=99, idle_s=30, min_window_s=20)
    turns = Comparison("J/token", "tg128", whole.sha256, small.sha256, Estimate(0.684, 0.003), (0.678, 0.690), 6)
    summary = make_summary(first, whole, small, slow, title="Llama 3.2 1B")
    return replace(summary, host=host, bench_settings=bench, tariff=TARIFF, comparisons=(turns,))


def forms(summary: Summary) -> dict[str, str]:
    """The four forms, wide enough for every column, on one line each."""
    text = {
        "terminal": printed(summary, 400),
        "markdown": report.markdown(summary),
        "csv": report.csv(summary),
        "html": " ".join(Page(own(report.html(summary))).words),
    }
    return {name: " ".join(form.split()) for name, form in text.items()}


def tables(summary: Summary) -> list[list[dict[str, str]]]:
    """The Markdown form's tables: for each line, heading to cell."""
    found = []
    for part in report.markdown(summary).split("\n\n"):
        if part.startswith("|"):
            head, _, *lines = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in part.splitlines()]
            found.append([dict(zip(head, line, strict=True)) for line in lines])
    return found


def lines_of(summary: Summary) -> list[dict[str, str]]:
    return list(stdlib.DictReader(io.StringIO(report.csv(summary))))


def changed(summary: Summary, **more: object) -> Summary:
    """``summary`` with these fields in all energies."""
    rows = [replace(row, energies=tuple(replace(e, **more) for e in row.energies)) for row in summary.rows]
    return replace(summary, rows=tuple(rows))


def test_headline_is_gross_at_the_widest_measured_scope_and_its_heading_says_so() -> None:
    headline, every, *_ = tables(orin())
    assert [line["tg128 mJ/token (module)"] for line in headline] == ["511 ±5", "297 ±3", "203.2 ±1.8", "269 ±2"]
    assert headline[0]["pp512 mJ/token (module)"] == "6.81 ±0.06"
    first = [line for line in every if line["Test"] == "tg128"][:4]
    assert [line["Gross mJ/token"] for line in first] == ["511 ±5", "297 ±3", "203.2 ±1.8", "269 ±2"]
    assert {line["Scope"] for line in first} == {"module"}
    for text in forms(orin()).values():
        assert "VDD_IN" in text
    for name in ("terminal", "markdown", "html"):
        assert "not the carrier board" in forms(orin())[name]


def test_published_figure_in_joules() -> None:
    # Strix Halo at the wall, Q4_0: 148.0 W and 28.89 W idle at 75.41 t/s.
    found = Energy("tg1024", "wall", "plug", False, True, 1024, 13.6, Estimate(148 / 75.41), Estimate(119.11 / 75.41))
    headline, every = tables(make_summary(replace(make_row("Q4_0", 4.5), energies=(found,))))
    assert headline[0]["tg1024 J/token (wall)"] == "1.963"
    assert every[0]["Net J/token"] == "1.579"
    narrower = replace(make_row("Q4_0", 4.5), energies=(replace(found, headline=False),))
    assert "J/token" not in str(tables(make_summary(narrower))[0])


def test_an_estimate_is_never_printed_as_a_measurement() -> None:
    summary = changed(orin(), estimated=True)
    headline, every, cost, _ = tables(summary)
    said = [cell for line in headline for name, cell in line.items() if "J/token" in name]
    said += [cell for line in every for name, cell in line.items() if re.search(r"J/token|W$", name)]
    said += [cell for line in cost for name, cell in line.items() if "energy" in name]
    assert len(said) > 100
    assert all(cell == "-" or cell.startswith("≈") for cell in said)
    assert all("estimated" in chart.y.title and "≈" in chart.described for chart in energy_charts(summary))
    assert {line["tg128_energy_module_estimated"] for line in lines_of(summary)} == {"true"}
    measured = tables(orin())[:2]
    assert "≈" not in str(measured)
    assert {line["tg128_energy_module_estimated"] for line in lines_of(orin())} == {"false"}


def test_the_mark_of_estimates_is_explained_where_it_is_used() -> None:
    free = replace(orin(), rows=tuple(replace(row, costs=()) for row in orin().rows))
    for name in ("terminal", "markdown", "html"):
        assert energy.ESTIMATED not in forms(free)[name]
        assert energy.ESTIMATED in forms(changed(free, estimated=True))[name]
        assert energy.ESTIMATED in forms(orin())[name]


def mixed() -> Summary:
    """The same files on a second device, whose board is estimated."""
    rows = [
        replace(row, device="Raspberry Pi 5", costs=(), energies=tuple(
            replace(e, scope="board", source="pi5_pmic", estimated=True) for e in row.energies if e.headline
        )) for row in orin().rows
    ]  # fmt: skip
    return replace(orin(), rows=(*orin().rows, *rows))


def test_scopes_that_differ_stand_in_the_cells_and_are_never_drawn_together() -> None:
    headline = tables(mixed())[0]
    assert [line["tg128 mJ/token"] for line in headline][:2] == ["511 ±5 module", "≈511 ±5 board"]
    assert "≈203.2 ±1.8" in printed(mixed(), 48)
    assert all(energy.MIXED in forms(mixed())[name] for name in ("terminal", "markdown", "html"))
    charts = energy_charts(mixed())
    assert len(charts) == 4
    for chart in charts:
        said = chart.described.partition(". ")[2]
        assert all(f"({scope})" in said for scope in ("module", "board") if scope in chart.y.title)
        assert ("(module)" in said, "estimated" in chart.y.title) == ("(board)" not in said, "≈" in said)


def test_bars_are_the_standard_uncertainty_in_the_unit_of_the_axis() -> None:
    chart = next(chart for chart in energy_charts(orin()) if chart.y.title.startswith("tg128"))
    gross = [row.energies[3].gross_j_per_token for row in energy.ordered(orin())]
    assert [(p.y, p.error) for p in chart.points] == [(g.value * 1000, g.se * 1000) for g in gross if g and g.se]
    assert chart.y.title == "tg128 energy (module), mJ/token"


@pytest.mark.parametrize("name", ["terminal", "markdown", "html"])
def test_what_is_missing_is_a_dash_and_a_reason_said_once(name: str) -> None:
    text = forms(orin())[name]
    assert text.count(TOO_SHORT) == 1
    assert f"No energy at scope wall for pp512 and tg128 of all files: {TOO_SHORT}." in text
    assert "Incomplete energy at scope module for tg128 of Q8_0: the idle phase after it was cut." in text
    line = next(one for one in tables(orin())[1] if (one["File"], one["Test"]) == ("Q8_0", "tg128"))
    assert (line["Net mJ/token"], line["Idle W"]) == ("-", "-")


def test_only_reasons_still_make_a_section_without_an_empty_table() -> None:
    none = Energy("tg128", "wall", "", False, False, 0, 0.0, missing="no meter answered")
    summary = make_summary(replace(make_row("Q8_0", 8.5, 0.1, 30.0), energies=(none,)))
    assert len(tables(summary)) == 1
    assert "J/token" not in str(tables(summary))
    assert all("no meter answered" in text for text in forms(summary).values())


def test_a_speed_with_a_state_has_the_word_and_no_error() -> None:
    wrong = Speed("tg128", 10, Estimate(41.63, 0.2), state=("bimodal", "autocorrelated"), ci95_tps=(41.0, 42.0))
    summary = replace(orin(), rows=(replace(orin().rows[3], speeds=(wrong,)),))
    assert tables(orin())[0][3]["tg128 t/s"] == "41.63 drifting"
    assert tables(summary)[0][0]["tg128 t/s"] == "41.63 bimodal +1"
    for name in ("terminal", "markdown", "html", "csv"):
        assert "bimodal, autocorrelated" in forms(summary)[name]
        assert "41.63 ±" not in forms(summary)[name]
    assert "41.0 to 42.0" not in forms(summary)["html"]
    assert [point.error for chart in speed_charts(summary) for point in chart.points] == [None]


def test_interval_is_rounded_like_its_error() -> None:
    assert interval((48.37, 49.05)).text == "48.37 to 49.05"
    assert interval((1389.38, 1414.6)).text == "1389 to 1415"
    assert interval((5.0, 5.0)).text == "5.000 to 5.000"
    assert "48.37 to 49.05" in forms(orin())["html"]


def test_cost_keeps_energy_and_hardware_apart_and_states_the_tariff() -> None:
    cost = tables(orin())[2]
    assert cost[2]["tg128 energy per Mtok"] == "≈0.0199 ±0.0002"
    assert cost[2]["tg128 hardware per Mtok"] == "0.108"
    for name in ("terminal", "markdown", "html"):
        text = forms(orin())[name]
        assert "Tariff: 0.3 per kWh, the scope's energy taken as 85 % of that at the wall" in text
        assert "Basis of pp512 and tg128 of all files: module energy over an efficiency of 0.85." in text
    bare = [replace(row, costs=tuple(replace(c, hardware_per_mtok=None) for c in row.costs)) for row in orin().rows]
    assert not any("hardware" in name for name in tables(replace(orin(), rows=tuple(bare)))[2][0])


def test_comparisons_name_both_files_and_what_was_compared() -> None:
    (line,) = tables(orin())[3]
    assert list(line.values()) == ["Q4_K_M", "Q8_0", "tg128", "J/token", "0.684 ±0.003", "0.678 to 0.690", "6"]
    assert all("0.678 to 0.690" in forms(orin())[name] for name in ("terminal", "markdown", "html"))


def test_throttling_has_a_column_only_where_it_may_have_happened() -> None:
    assert [line["Throttling"] for line in tables(orin())[0]] == ["none", "none", "none", "confirmed"]
    said = "Throttling confirmed for IQ2_M during 12.0 % of the timed phases: over-current"
    assert all(said in forms(orin())[name] for name in ("terminal", "markdown", "html"))
    rows = [replace(row, throttling=Throttling("unknown", "nothing tells")) for row in orin().rows]
    unknown = replace(orin(), rows=tuple(rows))
    assert "Throttling" not in tables(unknown)[0][0]
    said = "Whether the device slowed itself down is unknown for all files: nothing tells."
    assert all(said in forms(unknown)[name] for name in ("terminal", "markdown", "html"))
    assert {line["throttling"] for line in lines_of(unknown)} == {"unknown"}


def test_further_figures_and_terms_tell_the_kinds_of_memory_apart() -> None:
    text = forms(orin())["html"]
    for heading in ("Anonymous peak", "Mapped peak", "Available drop", "tg128 KV"):
        assert heading in text
    assert not re.search("cgroup|VRAM", text)
    assert "Reading the sensors took 0.41 % of one core" in text
    line = lines_of(orin())[0]
    assert (line["anon_peak_bytes"], line["cgroup_peak_bytes"]) == (str(290 * MIB), "")
    assert (line["tg128_kv_bytes"], line["sampler_share_of_core"]) == (str(4 * MIB), "0.0041")


def test_csv_has_every_number_unrounded_in_columns_of_its_own_scope() -> None:
    summary = mixed()
    for line, row in zip(lines_of(summary), energy.ordered(summary), strict=True):
        own = {(e.test, e.scope): e for e in row.energies}
        assert line["tg128_energy_headline_scope"] == ("module" if row.device == ORIN else "board")
        for test in ("pp512", "tg128"):
            for scope in ("wall", "board", "module", "rail"):
                found = own.get((test, scope))
                for name in ("gross", "net"):
                    value = getattr(found, f"{name}_j_per_token") if found else None
                    said = [line[f"{test}_energy_{scope}_{name}{se}_j_per_token"] for se in ("", "_se")]
                    assert said == ([repr(value.value), repr(value.se)] if value else ["", ""])
                assert line[f"{test}_energy_{scope}_source"] == (found.source if found else "")


def test_two_sensors_at_one_scope_lose_no_number() -> None:
    one = Energy("tg128", "wall", "plug", False, True, 128, 9.0, Estimate(3.25))
    row = replace(make_row("Q8_0", 8.5), energies=(one, replace(one, headline=False, source="meter",
                                                               gross_j_per_token=Estimate(3.5))))  # fmt: skip
    line = lines_of(make_summary(row))[0]
    assert line["tg128_energy_wall_gross_j_per_token"] == "3.25"
    assert (line["tg128_energy_wall_2_source"], line["tg128_energy_wall_2_gross_j_per_token"]) == ("meter", "3.5")


def test_without_energy_nothing_of_it_is_left() -> None:
    summary = make_summary(make_row("Q8_0", 8.5, 0.001, 30.0), make_row("Q4_0", 4.5, 0.02, 50.0))
    for text in forms(summary).values():
        assert not re.search(
            r"(?i)energ|token \(|J/tok|cost|throttl|hottest|scope|cgroup|anonym|≈|tariff|95 %|ci95", text
        )


text = st.sampled_from([HOSTILE, "", "=1+1", "@x", "a\x1b[2J\u202eb\n|c", "tg128", "module"]) | st.text(max_size=12)
tests = st.sampled_from(["pp512", "tg128", "tg128@d4096"]) | text
values = st.floats(-1e9, 1e9, allow_nan=False)
estimates = st.none() | st.builds(Estimate, values, st.none() | st.floats(0, 1e9))
some = st.none() | values
n_bytes = st.none() | st.integers(0, 2**40)
summaries = st.builds(
    lambda rows, tariff: replace(
        make_summary(*(replace(make_row(f"Q{i}_0", 8.5 - i, 0.01, 30.0), **row) for i, row in enumerate(rows))),
        tariff=tariff,
    ),
    st.lists(
        st.fixed_dictionaries({
            "device": st.sampled_from(["a", HOSTILE]),
            "speeds": st.lists(
                st.builds(
                    Speed, tests, st.just(5), st.builds(Estimate, values), estimates,
                    ci95_tps=st.none() | st.tuples(values, values), state=st.lists(text, max_size=2).map(tuple),
                ), max_size=2,
            ).map(tuple),
            "energies": st.lists(
                st.builds(
                    Energy, tests, st.sampled_from(list(energy.SCOPES)) | text, text, st.booleans(), st.booleans(),
                    st.integers(0, 10**6), st.floats(0, 1e4), estimates, estimates, estimates, some, estimates,
                    estimates, text,
                ), max_size=3,
            ).map(tuple),
            "costs": st.lists(st.builds(Cost, tests, estimates, some, st.booleans(), text), max_size=2).map(tuple),
            "memory": st.none() | st.builds(
                Memory, n_bytes, n_bytes, n_bytes, n_bytes, n_bytes, n_bytes,
                st.dictionaries(tests, st.integers(0, 2**40), max_size=2),
            ),
            "throttling": st.none() | st.builds(
                Throttling, st.sampled_from(["none", "suspected", "confirmed", "unknown"]), text,
                st.none() | st.floats(0, 1),
            ),
            "temperature_max_c": some,
            "sampler_share": st.none() | st.floats(0, 1),
        }), min_size=1, max_size=3,
    ),
    st.none() | st.builds(Tariff, values, some, some, some, values),
)  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(summaries)
def test_no_string_breaks_out_of_its_cell_and_no_number_is_cut(summary: Summary) -> None:
    page = own(report.html(summary))
    Page(page)
    assert "<script>alert" not in page
    markdown, csv = report.markdown(summary), report.csv(summary)
    assert "<" not in markdown
    tables(summary)
    terminal = [printed(summary, width) for width in (40, 80, 120)]
    for shown, width in zip(terminal, (40, 80, 120), strict=True):
        assert max(cell_len(line) for line in shown.splitlines()) <= width
    for form in (page, markdown, csv, *terminal):
        assert not any(unicodedata.category(c) in ("Cc", "Cf", "Cs") and c != "\n" for c in form)
    header, *lines = stdlib.reader(io.StringIO(csv))
    assert len(lines) == len(summary.rows)
    assert {len(line) for line in lines} == {len(header)}
    for cell in (cell for line in (header, *lines) for cell in line):
        assert not cell.startswith(("=", "+", "@"))
        assert not cell.startswith("-") or float(cell) <= 0
