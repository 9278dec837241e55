"""The table of methods in its three forms: every arm once, no figure that is not one, and names that stay text."""

from __future__ import annotations

import io
import re
from html.parser import HTMLParser

import msgspec
import pytest
from rich.cells import cell_len
from rich.console import Console

from edgeq import report
from edgeq.analyze.methods import ArmFacts
from edgeq.records import Claim, Energy, Estimate, Figure, MethodRow, MethodsTable, Note
from edgeq.report import page as frame
from edgeq.report.methods import claims, plots, words
from edgeq.report.script import SCRIPT
from edgeq.report.style import STYLE
from tests.methods_facts import arm_of, everything, measured, table_of
from tests.test_page import inside
from tests.test_report import HOSTILE, Page, own

WIDTHS = (40, 60, 80, 110, 160, 400)


@pytest.fixture(scope="module")
def table() -> MethodsTable:
    return everything()


def printed(table: MethodsTable, width: int = 400) -> str:
    out = io.StringIO()
    Console(width=width, file=out).print(report.methods_terminal(table))
    return out.getvalue()


class Tables(HTMLParser):
    """{id of a section: [[heading, ...], [cell, ...], ...] of its first table}."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: dict[str, list[list[str]]] = {}
        self.section = ""
        self.done: set[str] = set()
        self.in_cell = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "section":
            self.section = dict(attrs)["id"] or ""
        elif tag == "tr" and self.section not in self.done:
            self.found.setdefault(self.section, []).append([])
        elif tag in ("td", "th") and self.section not in self.done:
            self.in_cell = True
            self.found[self.section][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self.in_cell = False
        elif tag == "table":
            self.done.add(self.section)

    def handle_data(self, data: str) -> None:
        if self.in_cell:
            self.found[self.section][-1][-1] += data


def rows_of(table: MethodsTable, section: str) -> dict[str, dict[str, str]]:
    """{arm: {heading: cell}} of a table on the page."""
    headings, *lines = Tables(report.methods_html(table)).found[section]
    found = [dict(zip(headings, line, strict=True)) for line in lines]
    return {line.get("Arm", line.get("File type", "")): line for line in found}


def test_every_arm_is_in_every_table_once(table: MethodsTable) -> None:
    names = [row.arm.name for row in table.rows]
    found = Tables(report.methods_html(table)).found
    assert [line[1] for line in found["glance"][1:]] == names
    assert [line[1] for line in found["methods"][1:]] == ["F16", *names]
    assert [re.sub(" .*", "", line[0]) for line in found["shipping"][1:]] == ["Q4_K_M"]
    lines = report.methods_markdown(table).splitlines()
    for row in table.rows:
        line = f"| {row.number} {row.title} | {row.arm.name} |"
        assert sum(found.startswith(line) for found in lines) == 2
        same = [
            found for found in printed(table).splitlines() if re.match(rf"{row.number} .*  {row.arm.name}  ", found)
        ]
        assert len(same) == 2


@pytest.mark.parametrize("flags", [{"speed_valid": False}, {"size_valid": False}, {"numerics": "simulated"}])
def test_what_is_no_figure_of_the_method_is_a_dash_everywhere(flags: dict[str, object]) -> None:
    facts = measured(arm_of("static", "Q4_0", "Q4_0", **flags))
    assert facts.bench
    table = table_of([facts, measured(arm_of("dynamic", "other", "Q4_0"))])
    speed = "size_valid" not in flags
    size = "speed_valid" not in flags
    shown, other = (rows_of(table, "methods")[name] for name in ("Q4_0", "other"))
    hidden = [
        *(["pp64 ×", "tg16 ×"] if speed else []),
        *(["File % less", "bpw file"] if size else []),
        "RAM peak % less",
    ]
    assert [shown[name] for name in hidden] == ["-"] * len(hidden)
    assert all(other[name] != "-" for name in hidden)
    glance = rows_of(table, "glance")["Q4_0"]
    assert (glance["Speed tg16, ×"] == "-") == speed and (glance["Memory file, % less"] == "-") == size
    rates = report.methods_html(table).partition("<summary>Rates")[2].partition("</table>")[0]
    assert ('class="name">Q4_0<' not in rates) == speed
    # And no claim rests on it.
    assert not any("Q4_0" in c.basis for c in table.claims if "file" in c.aspect or "tg16" in c.aspect)


def test_skipped_arms_have_one_row_and_their_reason(table: MethodsTable) -> None:
    line = rows_of(table, "methods")["Q4_K"]
    assert line.pop("Computed") == "skipped"
    assert set(line.values()) == {"2 PTQ dynamic", "Q4_K", "-"}
    for text in (printed(table), report.methods_html(table), report.methods_markdown(table).replace("\\", "")):
        assert text.count("Q4_K was skipped: the rows do not fit.") == 1


def test_figures_are_the_records_rounded(table: MethodsTable) -> None:
    found = rows_of(table, "methods")
    for row in table.rows:
        if not row.skipped:
            quality = row.quality["outside.txt"]
            assert quality.kld
            assert float(found[row.arm.name]["KLD nats out-of-domain"].split()[0]) == pytest.approx(
                quality.kld.value, rel=0.05
            )
            assert float(found[row.arm.name]["Numerics points"].split()[0]) == pytest.approx(
                100 * row.groups["numerics"].difference.estimate.value, abs=1
            )
    assert (found["Q4_0"]["File % less"], found["Q4_0"]["RAM peak % less"]) == ("72.0", "71.0")
    assert found["Q4_0"]["Same until tokens"] == "40" and found["Q4_K-imatrix"]["Same until tokens"] == ">128"


def test_energy_is_shown_with_its_scope() -> None:
    table = table_of([measured(arm_of("static", "Q4_0", "Q4_0"))])
    energy = Energy("tg16", "package", "rapl", False, True, 80, 1.0, Estimate(0.5, 0.01))
    (row,) = table.rows
    table = msgspec.structs.replace(table, rows=(msgspec.structs.replace(row, energies=(energy,)),))
    assert rows_of(table, "methods")["Q4_0"]["tg16 J/token (package)"] == "0.500 ±0.010"


@pytest.mark.parametrize("width", WIDTHS)
def test_the_terminal_fits_and_says_what_it_drops(table: MethodsTable, width: int) -> None:
    text = printed(table, width)
    assert max(cell_len(line) for line in text.splitlines()) <= width
    assert ("Not shown at this width" in text) == (width < 400)
    if width >= 80:
        assert all(row.arm.name in text for row in table.rows) and "…" not in text


def test_every_claim_is_said_with_verdict_and_figure(table: MethodsTable) -> None:
    squeezed = " ".join(printed(table, 100).split())
    page = " ".join(Page(report.methods_html(table)).words)
    markdown = report.methods_markdown(table)
    assert table.claims
    for claim in table.claims:
        assert f"{claim.verdict} {claim.aspect}" in squeezed
        assert claim.text in squeezed and claim.text in page
        assert claims.said(claim) in page
        assert re.search(rf"\| {re.escape(claim.verdict)} \|", markdown)
        assert (claim.figure is None) == (claims.measured(claim).text == "-")
    assert claims.tally(table.claims) in squeezed


def claim(value: float, low: float, high: float, unit: str = "%") -> Claim:
    return Claim("t", "a", "supported", Figure(Estimate(value), (low, high)), unit)  # type: ignore[arg-type]


def test_figures_of_claims_have_the_digits_that_their_interval_gives() -> None:
    assert claims.said(claim(0.0207, 0.0183, 0.0231)) == "2.07 % (1.83 to 2.31)."
    assert claims.said(claim(1.39, 1.30, 1.48, "×")) == "1.39× (1.30 to 1.48)."
    assert claims.said(claim(0.72, 0.72, 0.72)) == "72.0 %."


def test_words_get_worse_with_their_figures(table: MethodsTable) -> None:
    row = next(r for r in table.rows if r.arm.name == "Q4_0")
    quality = row.quality["inside.txt"]

    def graded(**more: object) -> MethodRow:
        return msgspec.structs.replace(row, **more)

    klds = [0.001, 0.01, 0.03, 0.1, 0.7, 5.0]
    rows = [graded(quality={"x": msgspec.structs.replace(quality, kld=Estimate(k, k / 50))}) for k in klds]
    expected = ["near-lossless", "near-lossless", "good", "fair", "poor", "collapsed"]
    assert [words.accuracy(r).word for r in rows] == expected
    sizes = [words.memory(graded(size_reduction=x)).word for x in (0.85, 0.7, 0.5, 0.1, -0.2)]
    assert sizes == ["very low", "low", "medium", "high", "high"]
    speeds = [words.speed(graded(speedups={"tg16": Figure(Estimate(x))}), "tg16").word for x in (2.5, 1.5, 1.0, 0.5)]
    assert speeds == ["fast", "faster", "equal", "slower"]
    said = " ".join(meaning.text for meaning in words.meanings())
    assert all(word in said for word in (*expected, *sizes, *speeds))


def test_words_of_stability(table: MethodsTable) -> None:
    row = next(r for r in table.rows if r.arm.name == "Q4_0")
    assert row.stability
    for change, word in (
        ({"first_divergence": None}, "steady"),
        ({"first_divergence": 20.0}, "fair"),
        ({"first_divergence": 3.0}, "unsteady"),
        ({"loops": 0.5}, "loops"),
        ({"deterministic": False}, "not repeatable"),
    ):
        changed = msgspec.structs.replace(row, stability=msgspec.structs.replace(row.stability, **change))
        assert words.stability(changed, table.reference).word == word


def hostile() -> MethodsTable:
    table = table_of(
        [measured(arm_of("static", "Q4_0", "Q4_0")), ArmFacts(arm_of("qat", HOSTILE, "Q4_0"), None, HOSTILE)]
    )
    first = msgspec.structs.replace(table.rows[0], title=HOSTILE)
    named = msgspec.structs.replace(first, arm=msgspec.structs.replace(first.arm, name=HOSTILE))
    said = Claim(HOSTILE, HOSTILE, "supported", basis=HOSTILE, reason=HOSTILE)
    model = msgspec.structs.replace(table.model, name=HOSTILE, file_type=HOSTILE)
    note = Note("x", HOSTILE, HOSTILE)
    return msgspec.structs.replace(
        table, model=model, rows=(named, *table.rows[1:]), claims=(said,), warnings=(note,), calibration=(HOSTILE,)
    )  # fmt: skip


def test_hostile_names_stay_text_in_every_form() -> None:
    table = hostile()
    page = Page(report.methods_html(table))
    assert "<script>alert" not in own(report.methods_html(table))
    assert HOSTILE in page.words
    text = report.methods_markdown(table)
    assert "<script" not in text and not re.search(r"(?<!\\)[\[\]`]", text)
    for lines in (part.splitlines() for part in text.split("\n\n") if part.startswith("|")):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1
    assert "[red]b[/red]" in printed(table)
    assert max(cell_len(line) for line in printed(table, 80).splitlines()) <= 80


def test_the_page_loads_nothing_and_runs_only_its_own_scripts(table: MethodsTable) -> None:
    for shown in (table, hostile()):
        text = report.methods_html(shown)
        page = Page(text)
        assert [found.get("type") for tag, found in page.tags if tag == "script"] == ["text/plain"] * 2 + [None] * 2
        ids = [found["id"] for _, found in page.tags if "id" in found]
        assert len(ids) == len(set(ids))
        for tag, found in page.tags:
            assert tag not in ("link", "img", "iframe", "object", "base")
            assert not any(name == "src" or name.startswith("on") or name == "style" for name in found)
            assert (found.get("href") or "#").startswith("#")
        policy = next(found["content"] for _, found in page.tags if "http-equiv" in found)
        assert policy and policy.startswith("default-src 'none'")
        assert frame._hash(SCRIPT) in policy and frame._hash(STYLE) in policy
        assert text == report.methods_html(shown)


def test_the_record_is_inside_whole(table: MethodsTable) -> None:
    held = inside(report.methods_html(table), "record-data")
    assert msgspec.convert(held["record"], MethodsTable) == table


def test_arms_that_share_a_file_are_one_mark_at_their_bits(table: MethodsTable) -> None:
    drawn = plots.charts(table)
    assert len(drawn) == len(table.texts)
    for chart, name in zip(drawn, table.texts, strict=True):
        files = {(r.sha256, r.arm.activations) for r in table.rows if not r.skipped}
        assert len(chart.points) == len(files)
        for point in chart.points:
            (row,) = (r for r in table.rows if r.arm.name == point.label)
            kld = row.quality[name].kld
            assert kld and (point.x, point.y, point.error) == (row.weight_bpw, kld.value, kld.se)
    specs = plots.encoded(drawn)
    assert list(specs) == list(inside(report.methods_html(table), "plot-data")["plots"])
    assert report.svg(msgspec.json.decode(specs["methods-1"])).startswith("<svg")


def test_little_still_gives_a_report() -> None:
    bare = table_of([ArmFacts(arm_of("static", "Q4_0", "Q4_0"), None, "no")])
    empty = msgspec.structs.replace(bare, rows=(), claims=(), floor={}, texts=(), n_tokens={}, warnings=())
    for found in (bare, empty):
        Page(report.methods_html(found))
        assert printed(found) and report.methods_markdown(found).startswith("# Quantization methods")
