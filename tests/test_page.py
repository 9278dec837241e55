"""The page: what its plots hold, what it carries inside, and how it behaves in a browser."""

from __future__ import annotations

import base64
import gzip
import itertools
import json
import math
import random
import re
import shutil
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

from edgeq import analyze, cli, report, store
from edgeq.records import BenchRecord, BenchTest, Channel, EvalRecord, Phase, Summary, Trace
from edgeq.report import axes, embedded, limits, naming, scatter, series
from edgeq.report.charts import Chart, quality_chart, speed_charts
from tests.test_analyze import bench_of, file, scored
from tests.test_report import HOSTILE, Page, make_row, make_summary

N_REPS, N_TOKENS, CHUNKS = 4, 16, 3
SCORED = 255


def bench(name: str, ms: float) -> BenchRecord:
    """A run of 4 x pp512 and 4 x tg16 whose tokens take ``ms`` each, while it gets hotter."""
    phases, at = [Phase("idle", None, 0, 0, 0, 10**9)], 10**9
    for test, n, tokens in (("pp512", 512, None), (f"tg{N_TOKENS}", N_TOKENS, N_TOKENS)):
        for rep in range(N_REPS):
            step = int(ms * 1e6)
            times = tuple(step * (i + 1) for i in range(tokens)) if tokens else None
            begun, at = at, at + N_TOKENS * step
            phases.append(Phase("decode" if tokens else "prefill", test, rep, n, begun, at, times))
    t = np.linspace(0, at, 50).astype("<i8")
    channel = Channel("soc", "temperature", "gauge", "degC", "board", sensor="thermal")
    traces = (Trace(channel, t.tobytes(), np.linspace(40, 70, 50).astype("<f8").tobytes()),)
    record = bench_of(file(name, int(ms * 100)), tuple(phases), BenchTest(512, 0), BenchTest(0, N_TOKENS))
    return msgspec.structs.replace(record, traces=traces)


def evaluation(name: str, ms: float, kld: float, reference: str = "F16") -> EvalRecord:
    """KLD that falls along each chunk from twice ``kld`` to nothing."""
    falling = np.tile(np.linspace(2 * kld, 0, SCORED), CHUNKS)
    return scored(file(name, int(ms * 100)), np.ones(SCORED * CHUNKS), falling, file(reference, 1600))


def measured() -> tuple[Summary, list[BenchRecord], list[EvalRecord]]:
    names = {"Q8_0": (9.0, 0.001), "Q4_K_M": (5.0, 0.02), "IQ3_XXS": (4.0, 0.2)}
    benches = [bench("F16", 16.0), *(bench(name, ms) for name, (ms, _) in names.items())]
    evals = [evaluation(name, ms, kld) for name, (ms, kld) in names.items()]
    return analyze.summarize(benches, evals), benches, evals


# --- axes and plots ------------------------------------------------------------------------------------------


def test_axes_are_monotone_and_hold_every_value() -> None:
    noise = random.Random(5)
    for _ in range(200):
        values = [noise.choice((-1, 0, 1, 1, 1)) * 10 ** noise.uniform(-9, 2) for _ in range(noise.randint(1, 12))]
        for axis in (axes.log(values, ""), axes.linear(values, "")):
            shares = [axis.share(value) for value in sorted(values)]
            assert all(0 <= share <= 1 for share in shares)
            assert all(one <= two for one, two in itertools.pairwise(shares))
            assert all(axis.low <= axis.drawn(value) <= axis.high for value in values)
            assert all(axis.low <= tick <= axis.high for tick in axis.ticks)


@pytest.mark.parametrize("klds", [(0.1, 0.001), (0.1, 0.0), (0.1, -1e-8), (0.0, -1e-8), (5.0, 1e-12), (0.1, 0.1)])
def test_logarithmic_axes_say_what_lies_below_them(klds: tuple[float, float]) -> None:
    axis = axes.log(list(klds), "KLD")
    assert len(axis.ticks) >= 2
    assert (axis.floor in axis.ticks) == (axis.floor is not None) == (min(klds) < max(max(klds), 1e-9) * 1e-6)
    assert ("≤" in axis.encoding("y")["axis"]["labelExpr"]) == (axis.floor is not None)


def many() -> Summary:
    noise = random.Random(3)
    types = ["Q8_0", "Q6_K", "Q5_K_M", "Q5_1", "Q4_K_M", "IQ4_NL", "Q4_0", "Q3_K_M", "IQ3_M", "Q2_K", "IQ2_M"]
    found = [make_row("F16", 16.1, None, 21.0, reference=True)]
    for index, name in enumerate(types):
        bpw = 8.5 - index * 0.6 + noise.uniform(-0.1, 0.1)
        found.append(make_row(name, bpw, 2 ** (-1.3 * bpw) * noise.uniform(1, 2), 300 / bpw))
    return make_summary(*found)


def charts(summary: Summary) -> list[Chart]:
    quality = quality_chart(summary)
    assert quality
    return [quality, *speed_charts(summary)]


def layer(spec: dict[str, Any], name: str) -> Any:
    return next(one for one in spec["layer"] if one.get("name") == name)


def test_names_cover_neither_each_other_nor_marks() -> None:
    for chart in charts(many()):
        sides = naming.places(chart, 660, 290)
        assert sum(side is not None for side in sides) >= 0.8 * len(sides)
        at = [(chart.x.share(p.x) * 660, (1 - chart.y.share(p.y)) * 290) for p in chart.points]
        boxes = [naming._box(p.label, a, s) for p, a, s in zip(chart.points, at, sides, strict=True) if s]
        assert not any(naming._overlap(one, two) for one, two in itertools.combinations(boxes, 2))
        assert not any(box[0] < x < box[2] and box[1] < y < box[3] for box in boxes for x, y in at)


def test_the_front_is_stairs_that_only_improve() -> None:
    spec = scatter.scatter(charts(many())[0])
    steps = layer(spec, "front")["data"]["values"]
    assert len(steps) >= 4
    for one, two in itertools.pairwise(steps):
        assert (one["x2"], one["y2"]) == (two["x"], two["y"])
    assert all(step["x2"] >= step["x"] and step["y2"] <= step["y"] for step in steps)
    assert all(one.get("name") != "front" for one in scatter.scatter(charts(many())[1])["layer"])


def test_bars_are_one_standard_error_and_marks_differ_in_shape() -> None:
    chart = charts(many())[0]
    spec = scatter.scatter(chart)
    for value, point in zip(spec["data"]["values"], chart.points, strict=True):
        assert point.error
        assert (value["low"], value["high"]) == pytest.approx((point.y - point.error, point.y + point.error))
        assert value["facts"]["File"] == point.label
    shape = layer(spec, "points")["encoding"]["shape"]["scale"]
    assert len(set(shape["range"])) == len(shape["domain"])
    assert all(re.search("MiB|nats", spec["encoding"][axis]["title"]) for axis in ("x", "y"))


def test_speed_is_drawn_against_quality_with_the_reference_at_its_floor() -> None:
    chart = charts(many())[1]
    reference = next(point for point in chart.points if point.reference)
    assert reference.x == 0
    assert chart.x.drawn(reference.x) == chart.x.floor == chart.x.ticks[0]
    without = make_summary(make_row("Q8_0", 8.5, None, 30.0), make_row("Q4_0", 4.5, None, 50.0))
    assert speed_charts(without)[0].x.title.startswith("File size")


def test_every_plot_becomes_a_picture() -> None:
    summary, benches, evals = measured()
    specs = report.plots(summary, benches, evals)
    kinds = {re.sub(r"(-\d+)+$", "", name) for name in specs}
    assert kinds == {"quality", "speed", "memory", "run", "latency", "kld-position"}
    assert all(re.fullmatch("[a-z0-9-]+", name) for name in specs)
    for name in ("quality", "speed-1", "run-1-3", "latency-1-1", "kld-position-1-1"):
        assert report.svg(specs[name]).startswith("<svg")
        assert report.png(specs[name]).startswith(b"\x89PNG")
    assert "Q4_K_M" in report.svg(specs["quality"])
    assert specs == report.plots(summary, benches, evals)


def test_pictures_are_written_by_the_command(tmp_path: Path) -> None:
    folder = store.make_folder(tmp_path / "run" / "records")
    for record in measured()[1][:2]:
        store.save(folder / f"bench-{record.model.file_type}.json.gz", record, "k")
    out = tmp_path / "plots"
    done = CliRunner().invoke(cli.cli, ["report", str(tmp_path / "run"), "--plots", str(out)])
    assert done.exit_code == 0, done.output
    names = {path.stem for path in out.glob("*.svg")}
    assert names == {path.stem for path in out.glob("*.png")}
    assert {"speed-1", "memory-1", "run-1-1"} <= names


# --- series --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("most", [1, 4, 12, 240])
def test_rates_over_time_average_to_the_rate(most: int) -> None:
    found = series.rates(bench("Q8_0", 9.0), f"tg{N_TOKENS}", most)
    assert 1 <= len(found.tps) <= max(most, N_REPS)
    assert found.tps == pytest.approx([1000 / 9] * len(found.tps), rel=1e-3)
    assert found.seconds == sorted(found.seconds)
    assert set(found.rep) <= set(range(1, N_REPS + 1))


def test_latency_and_temperature_keep_their_values() -> None:
    record = bench("Q8_0", 9.0)
    found = series.latency(record, f"tg{N_TOKENS}", 128)
    assert found
    assert found.token == list(range(2, N_TOKENS + 1))
    assert found.median == found.low == found.high == [9.0] * (N_TOKENS - 1)
    assert series.latency(record, "pp512", 128) is None
    (heat,) = series.heat(record, 10)
    assert (heat.name, len(heat.celsius)) == ("thermal soc", 10)
    assert heat.celsius == sorted(heat.celsius)


def test_kld_by_position_is_the_mean_over_chunks() -> None:
    found = series.kld_by_position(evaluation("Q4_0", 5.0, 0.1))
    assert found
    assert found.kld == sorted(found.kld, reverse=True)
    assert 256 < found.position[0] < found.position[-1] < 512
    assert found.se == pytest.approx([0] * len(found.se), abs=1e-9)
    whole = msgspec.structs.replace(evaluation("Q4_0", 5.0, 0.1), kld_f32=b"\0\0\0\0")
    assert series.kld_by_position(whole) is None


def test_records_of_one_file_are_told_apart() -> None:
    one = bench("Q8_0", 9.0)
    again = [one, one, msgspec.structs.replace(one, turn=1)]
    assert series.named(again, {"Q8_0": "Q8_0"}) == ["Q8_0", "Q8_0 (2)", "Q8_0, turn 1"]


# --- what the page carries -----------------------------------------------------------------------------------


def inside(page: str, name: str) -> Any:
    found = re.search(rf'<script type="text/plain" id="{name}">([^<]*)</script>', page)
    assert found
    return json.loads(gzip.decompress(base64.b64decode(found[1])))


def test_the_records_are_inside_and_whole() -> None:
    summary, benches, evals = measured()
    page = report.html(summary, benches, evals)
    Page(page)
    held = inside(page, "record-data")
    assert held["left_out"] == ""
    assert msgspec.convert(held["summary"], Summary) == summary
    assert [msgspec.json.decode(json.dumps(b), type=BenchRecord) for b in held["benches"]] == benches
    assert [msgspec.json.decode(json.dumps(e), type=EvalRecord) for e in held["evals"]] == evals
    assert page == report.html(summary, benches, evals)
    assert set(inside(page, "plot-data")["plots"]) == set(report.plots(summary, benches, evals))
    assert "record-data" not in report.html(summary).rpartition("<main>")[2].partition("<script>")[0]


def test_too_many_records_lose_their_longest_series_and_the_page_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    summary, benches, evals = measured()
    monkeypatch.setattr(embedded, "MOST_BYTES", 6000)
    kept = embedded.fitting(benches, evals)
    assert kept.left_out == "values of single tokens"
    assert kept.benches == benches
    monkeypatch.setattr(embedded, "MOST_BYTES", 10)
    kept = embedded.fitting(benches, evals)
    assert all(not e.kld_f32 for e in kept.evals)
    assert all(p.token_ns is None for b in kept.benches for p in b.phases)
    assert kept.left_out in report.html(summary, benches, evals)


def test_the_limits_are_ten_lines_at_most_and_fit_what_was_measured() -> None:
    assert 5 <= len(limits.lines(measured()[0], True)) <= 10
    assert not {limits.ENERGY, limits.KLD} & set(limits.lines(make_summary(make_row("Q8_0", 8.5)), False))


# --- in a browser --------------------------------------------------------------------------------------------

WIDTHS = (390, 820, 1400)
QUIET = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync")  # fmt: skip


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    names = ("chromium", "chromium-browser", "google-chrome")
    binary, driver = next(filter(None, map(shutil.which, names)), None), shutil.which("chromedriver")
    if not (binary and driver):
        pytest.skip("chromium and chromedriver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in (*QUIET, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    found = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield found
    found.quit()


def shown(browser: Any, path: Path, summary: Summary, *records: Any, width: int = 1400, dark: bool = False) -> Any:
    """Open a page, and wait until what can be seen of it is drawn."""
    path.write_text(report.html(summary, *records))
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get("about:blank")
    browser.get_log("performance"), browser.get_log("browser")
    browser.get(path.as_uri())
    until(lambda: browser.find_elements("css selector", "[data-plot=quality] .points_marks path"))
    return browser


def until(check: Callable[[], Any]) -> Any:
    """The first true value of ``check``, looked at again and again for some seconds."""
    end = time.monotonic() + 20
    while not (found := check()):
        assert time.monotonic() < end, "nothing has come"
        time.sleep(0.05)
    return found


def tip(browser: Any) -> str:
    found = browser.find_elements("css selector", "#vg-tooltip-element.visible")
    return found[0].text if found else ""


def hover(browser: Any, mark: Any) -> None:
    from selenium.webdriver import ActionChains

    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", mark)
    ActionChains(browser).move_to_element(mark).perform()


def requests(browser: Any) -> list[str]:
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_is_quiet_and_fits(browser: Any, tmp_path: Path, width: int, dark: bool) -> None:
    path = tmp_path / "page.html"
    shown(browser, path, *measured(), width=width, dark=dark)
    places = browser.find_elements("css selector", "[data-plot]")
    assert len(places) >= 7
    for place in places:
        browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", place)
        until(partial(place.find_elements, "css selector", ".points_marks path"))
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert browser.get_log("browser") == []
    assert [url for url in requests(browser) if not url.startswith("data:")] == [path.as_uri()]
    ground = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(20, 25, 31)" if dark else "rgb(255, 255, 255)")


def test_the_table_sorts_both_ways_by_keyboard(browser: Any, tmp_path: Path) -> None:
    shown(browser, tmp_path / "page.html", *measured())
    table = browser.find_element("css selector", "#results table")
    heads = table.find_elements("css selector", "thead th")
    column = next(i for i, head in enumerate(heads) if head.text.startswith("KLD mean"))
    button = heads[column].find_element("css selector", "button")
    for order in ("ascending", "descending"):
        button.send_keys("\ue007")
        assert heads[column].get_attribute("aria-sort") == order
        rows = table.find_elements("css selector", "tbody tr")
        cells = [row.find_elements("css selector", "th, td")[column].get_attribute("data-n") for row in rows]
        values = [math.inf if cell is None else float(cell) for cell in cells]
        assert values[-1] == math.inf
        assert values[:-1] == sorted(values[:-1], reverse=order == "descending")
    assert browser.execute_script("return getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_a_mark_says_its_file_to_pointer_and_keyboard(browser: Any, tmp_path: Path) -> None:
    shown(browser, tmp_path / "page.html", *measured())
    place = browser.find_element("css selector", "[data-plot=quality]")
    hover(browser, place.find_element("css selector", ".points_marks path"))
    assert re.search("File.*Q8_0", until(lambda: tip(browser)))
    hover(browser, browser.find_element("css selector", "h1"))
    until(lambda: not tip(browser))
    place.send_keys("\ue014")
    assert re.search("File.*IQ3_XXS", until(lambda: tip(browser)))
    assert "IQ3_XXS" in browser.find_element("id", "said").get_attribute("textContent")
    place.send_keys("\ue00c")
    until(lambda: not tip(browser))


def test_another_run_can_be_chosen(browser: Any, tmp_path: Path) -> None:
    shown(browser, tmp_path / "page.html", *measured())
    select = browser.find_element("css selector", "#run select")
    select.send_keys("\ue015")
    heading = until(lambda: browser.find_element("css selector", "#run h3")).text
    assert heading.endswith(select.find_elements("css selector", "option")[1].text)
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", select)
    marks = until(lambda: browser.find_elements("css selector", "#run .points_marks path"))
    hover(browser, marks[0])
    assert "t/s" in until(lambda: tip(browser))
    assert browser.get_log("browser") == []


def test_hostile_names_stay_text(browser: Any, tmp_path: Path) -> None:
    row = make_row(HOSTILE, 4.5, 0.02, 50.0, name=HOSTILE)
    shown(browser, tmp_path / "page.html", make_summary(row, make_row("Q8_0", 8.5, 0.001, 30.0), title=HOSTILE))
    assert browser.title == browser.find_element("css selector", "h1").text == HOSTILE
    marks = browser.find_elements("css selector", "[data-plot=quality] .points_marks path")
    mark = next(m for m in marks if "script" in m.get_attribute("aria-label"))
    hover(browser, mark)
    assert HOSTILE in until(lambda: tip(browser))
    assert not browser.find_elements("css selector", "main script, #vg-tooltip-element script, main b")
    assert browser.get_log("browser") == []


def test_the_download_gives_back_the_records(browser: Any, tmp_path: Path) -> None:
    summary, benches, evals = measured()
    shown(browser, tmp_path / "page.html", summary, benches, evals)
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    browser.find_element("css selector", "button.download").send_keys("\ue007")
    saved = tmp_path / embedded.NAME
    until(lambda: saved.exists() and saved.stat().st_size > 0)  # the browser puts an empty file there first
    held = json.loads(gzip.decompress(saved.read_bytes()))
    assert [msgspec.json.decode(json.dumps(b), type=BenchRecord) for b in held["benches"]] == benches
    assert [msgspec.json.decode(json.dumps(e), type=EvalRecord) for e in held["evals"]] == evals
