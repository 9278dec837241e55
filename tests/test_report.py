"""The report room: what is printed is what was measured, and no name can break out of its cell."""

from __future__ import annotations

import csv as stdlib
import io
import math
import random
import re
from html.parser import HTMLParser

import pytest
from msgspec.structs import replace
from rich.cells import cell_len
from rich.console import Console

from edgeq import report
from edgeq.records import (
    Corpus,
    Cost,
    Energy,
    Estimate,
    EvalSettings,
    Host,
    Memory,
    Note,
    Quality,
    Row,
    Speed,
    Summary,
    Tariff,
    Throttling,
)
from edgeq.report import drawing, figures, rows, style

HOSTILE = '<script>alert(1)</script> | `x` [x](javascript:alert(1)) [red]b[/red] **b** & "q" https://a.example'
VOID = {"meta", "br", "img", "link", "input", "hr"}
TYPES = [
    "Q8_0", "Q6_K", "Q5_K_M", "Q5_1", "Q5_0", "Q5_K_S", "Q4_1", "Q4_K_M", "Q4_K_S",
    "IQ4_NL", "Q4_0", "IQ4_XS", "Q3_K_L", "Q3_K_M", "IQ3_M", "IQ3_S", "Q3_K_S", "IQ3_XS",
    "IQ3_XXS", "Q2_K", "Q2_K_S", "IQ2_M", "IQ2_S", "IQ2_XXS", "IQ1_M",
]  # fmt: skip


def make_row(
    file_type: str,
    bpw: float,
    kld: float | None = None,
    tps: float | None = None,
    *,
    name: str = "SmolLM2-135M",
    device: str = "cpu",
    reference: bool = False,
    notes: tuple[Note, ...] = (),
    on_label: float | None = 0.8,
) -> Row:
    quality = Quality(
        n_tokens=10240,
        ppl=Estimate(19.2, 0.42),
        kld=None if kld is None else Estimate(kld, abs(kld) * 0.04 + 1e-5),
        top1=None if kld is None else Estimate(0.912, 0.0031),
    )
    return Row(
        name=name,
        device=device,
        sha256=f"{file_type}{name}{device}{bpw}".encode(errors="replace").hex()[:64].ljust(64, "0"),
        file_type=file_type,
        bpw=bpw,
        n_bytes=int(bpw * 134_515_008 / 8),
        on_label=on_label,
        tensor_types={"Q4_K": 0.75, "F32": 0.25},
        imatrix=True,
        reference=reference,
        quality=quality if kld is not None or reference else None,
        speeds=() if tps is None else (Speed("tg128", 5, Estimate(tps, tps * 0.007)),),
        notes=notes,
    )


def make_summary(*found: Row, title: str = "A title", warnings: tuple[Note, ...] = (), front: bool = True) -> Summary:
    host = Host("AMD EPYC", "x86_64", 2, 2, ("avx2",), (), "Debian", "6.1", 8 * 2**30, None, "3.11")
    corpus = (Corpus("wiki.test.raw", "ab" * 32, 1_290_590, "second half"),)
    best = math.inf
    shas = []
    for row in sorted(found, key=lambda row: row.n_bytes):
        if row.quality and row.quality.kld and row.quality.kld.value < best:
            best = row.quality.kld.value
            shas.append(row.sha256)
    return Summary(title, host, "0c1e570", corpus, EvalSettings(), None, found, warnings, tuple(shas) if front else ())


def printed(summary: Summary, width: int = 100) -> str:
    out = io.StringIO()
    Console(width=width, file=out).print(report.terminal(summary))
    return out.getvalue()


@pytest.fixture(scope="module")
def many() -> Summary:
    noise = random.Random(3)
    found = [make_row("F16", 16.1, None, 21.0, reference=True)]
    for index, name in enumerate(TYPES):
        bpw = 8.5 - index * 0.27 + noise.uniform(-0.1, 0.1)
        found.append(make_row(name, bpw, 2 ** (-1.3 * bpw) * noise.uniform(1, 2), 300 / bpw))
    return make_summary(*found)


@pytest.fixture(scope="module")
def hostile() -> Summary:
    note = Note("x", HOSTILE, HOSTILE)
    row = make_row(HOSTILE, 4.5, 0.02, 50.0, name=HOSTILE, device=HOSTILE, notes=(note,))
    known = Energy(HOSTILE, HOSTILE, HOSTILE, True, True, 128, 1.0, Estimate(1.0, 0.1), missing=HOSTILE)
    row = replace(
        row,
        speeds=(Speed(HOSTILE, 5, Estimate(50.0), state=(HOSTILE, HOSTILE)), *row.speeds),
        energies=(known, replace(known, test="tg128"), Energy("tg128", "@x", "=1", False, False, 0, 0.0, missing="-1")),
        costs=(Cost(HOSTILE, Estimate(1.0), 2.0, True, HOSTILE), Cost("tg128", Estimate(1.0), 2.0, True, "=1")),
        memory=Memory(anon_peak_bytes=2**20, kv_bytes={HOSTILE: 2**20}),
        throttling=Throttling("confirmed", HOSTILE, 0.1),
    )
    other = make_row("Q8_0", 8.5, 0.001, 30.0, name="=1+1")
    summary = make_summary(row, other, title=HOSTILE, warnings=(note,))
    return replace(summary, tariff=Tariff(0.3, 0.85, 249.0, 1e4))


class Page(HTMLParser):
    """Checks that tags are balanced, and collects what would be loaded or run."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.02134, 0.00083, "0.0213 ±0.0008"),
        (19.8312, 0.1449, "19.83 ±0.14"),
        (87.43, 0.62, "87.4 ±0.6"),
        (12345.6, 321.0, "12300 ±300"),
        (-0.00001, 0.0008, "0.0000 ±0.0008"),
        (1.24e-7, 3.1e-8, "1.2e-7 ±0.3e-7"),
        (99.96, 0.0996, "99.96 ±0.10"),
        (0.0, 0.0, "0 ±0"),
        (0.0, None, "0"),
        (12.0, None, "12.00"),
        (3.21e-9, None, "3.21e-9"),
        (math.inf, 1.0, "inf"),
    ],
)
def test_digits_match_the_error(value: float, error: float | None, text: str) -> None:
    assert str(figures.estimate(Estimate(value, error))) == text


def test_percent_rounds_nothing_to_all_or_none() -> None:
    shares = (None, 0.0, 0.0001, 0.1, 0.9999, 1.0)
    assert [figures.percent(share).text for share in shares] == ["-", "0", "<0.1", "10.0", ">99.9", "100"]


def test_not_measured_is_a_dash_and_zero_is_zero() -> None:
    summary = make_summary(make_row("Q8_0", 8.5, 0.001, on_label=0.0), make_row("Q4_0", 4.5, None, 20.0, on_label=None))
    lines = [line for line in report.markdown(summary).splitlines() if line.startswith("| ")]
    header, *_, best, worst = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    assert best[header.index("On-label %")] == "0"
    assert best[header.index("tg128 t/s")] == "-"
    assert worst[header.index("On-label %")] == "-"
    assert worst[header.index("KLD mean nats")] == "-"
    assert "<td>-</td>" in report.html(summary)
    assert '<td data-n="0.0">0</td>' in report.html(summary)
    found = list(stdlib.DictReader(io.StringIO(report.csv(summary))))
    assert (found[0]["on_label_share"], found[0]["tg128_tps"]) == ("0.0", "")
    assert (found[1]["on_label_share"], found[1]["kld_nats"]) == ("", "")


def test_reference_first_then_by_bpw(many: Summary) -> None:
    found = rows.ordered(many)
    assert found[0].reference
    assert [row.bpw for row in found[1:]] == sorted((row.bpw for row in found[1:]), reverse=True)


def test_labels_tell_rows_apart_and_off_label_files_by_bpw() -> None:
    twice = [make_row("Q4_K_M", 4.9, name="plain"), make_row("Q4_K_M", 4.8, name="tuned")]
    assert set(rows.labels(twice).values()) == {"plain", "tuned"}
    assert list(rows.labels([make_row("Q2_K", 5.14, on_label=0.0)]).values()) == ["Q2_K 5.14 bpw"]


def test_notes_are_sentences_once_with_their_row() -> None:
    note = Note("few", "too few tokens were scored", "Score more text")
    own = Note("off_label", "Q2_K: only 0 % of its weights are Q2_K", "")
    summary = make_summary(make_row("Q2_K", 5.1, 0.1, notes=(own, note)), warnings=(note, note))
    expected = ["too few tokens were scored.", own.text + ".", "Q2_K: too few tokens were scored."]
    assert sorted(text for text, _ in rows.notes(summary)) == sorted(expected)
    for text in (report.markdown(summary), report.html(summary), " ".join(printed(summary).split())):
        assert all(sentence in text for sentence in expected)
        assert "Score more text." in text


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120])
def test_terminal_fits_and_keeps_numbers_whole(many: Summary, hostile: Summary, width: int) -> None:
    for summary in (many, hostile):
        assert max(cell_len(line) for line in printed(summary, width).splitlines()) <= width
    text = printed(many, width)
    assert "…" not in text
    assert all(f"{row.bpw:.2f}" in text for row in many.rows)
    dropped = "Not shown at this width" in text
    assert dropped == (width < 120)


def test_terminal_prints_markup_as_text(hostile: Summary) -> None:
    assert "[red]b[/red]" in printed(hostile, 200)


def test_markdown_is_escaped(hostile: Summary) -> None:
    text = report.markdown(hostile)
    assert "<" not in text
    assert "https://" not in text
    assert not re.search(r"(?<!\\)[\[\]`]", text)
    tables = [part.splitlines() for part in text.split("\n\n") if part.startswith("|")]
    assert len(tables) == 3
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table}) == 1


def test_csv_round_trips_unrounded(many: Summary, hostile: Summary) -> None:
    found = list(stdlib.DictReader(io.StringIO(report.csv(many))))
    assert len(found) == len(many.rows)
    for line, row in zip(found, rows.ordered(many), strict=True):
        assert float(line["bpw"]) == row.bpw
        assert int(line["size_bytes"]) == row.n_bytes
        assert row.quality
        assert (float(line["kld_nats"]) if line["kld_nats"] else None) == (row.quality.kld and row.quality.kld.value)
    found = list(stdlib.DictReader(io.StringIO(report.csv(hostile))))
    assert [line["name"] for line in found] == ["'=1+1", HOSTILE]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_csv_neutralizes_formulas(text: str) -> None:
    summary = make_summary(make_row(text, 4.5, -1e-7, name=text))
    line = next(stdlib.DictReader(io.StringIO(report.csv(summary))))
    assert line["name"] == line["file_type"] == f"'{text.strip()}"
    assert float(line["kld_nats"]) == -1e-7


def own(page: str) -> str:
    """The page without the plotting library."""
    assert drawing.script() in page or "data-plot" not in page
    return page.replace(drawing.script(), "")


def test_html_is_balanced_and_loads_nothing(many: Summary, hostile: Summary) -> None:
    for summary in (many, hostile):
        page = Page(report.html(summary))
        assert [found.get("type") for tag, found in page.tags if tag == "script"] == ["text/plain", None, None]
        ids = [found["id"] for _, found in page.tags if "id" in found]
        assert len(ids) == len(set(ids))
        for tag, found in page.tags:
            assert tag not in ("link", "img", "iframe", "object", "base")
            assert not any(name == "src" or name.startswith("on") or name == "style" for name in found)
            assert (found.get("href") or "#").startswith("#")
        text = own(report.html(summary))
        assert "@import" not in text
        assert "url(" not in text


def test_html_escapes_names(hostile: Summary) -> None:
    page = Page(report.html(hostile))
    assert not any("<script>alert" in part for part in (report.html(hostile),))
    assert HOSTILE in page.words


def test_html_has_all_rows_and_a_place_for_each_plot(many: Summary) -> None:
    page = Page(report.html(many))
    assert all(row.file_type in page.words for row in many.rows)
    places = [found["data-plot"] for tag, found in page.tags if tag == "div" and "data-plot" in found]
    assert places == list(report.plots(many)) == ["quality", "speed-1"]


@pytest.mark.parametrize(
    "found",
    [
        (),
        (make_row("Q8_0", 8.5),),
        (make_row("Q8_0", 8.5, 0.001),),
        (make_row("Q8_0", 8.5, None, 30.0),),
        (make_row("Q8_0", 8.5, 0.0), make_row("Q4_0", 4.5, -1e-9)),
        (make_row("Q8_0", 8.5, math.nan, math.inf), make_row("Q4_0", 4.5, math.inf, 0.0)),
        (make_row("F16", 16.0, None, reference=True),),
    ],
)
def test_every_gap_still_gives_a_report(found: tuple[Row, ...]) -> None:
    summary = make_summary(*found)
    Page(report.html(summary))
    assert printed(summary)
    assert report.markdown(summary).startswith("# A title")
    assert len(report.csv(summary).splitlines()) == len(found) + 1


def test_control_and_bidirectional_characters_do_not_reach_any_form() -> None:
    summary = make_summary(make_row("Q8_0", 8.5, 0.1, name="a\x1b[2J\u202eb\ud800"), make_row("Q4_0", 4.5))
    for text in (own(report.html(summary)), report.markdown(summary), report.csv(summary), printed(summary, 200)):
        assert not {"\x1b", "\u202e", "\ud800"} & set(text)


def luminance(color: str) -> float:
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("palette", [style.LIGHT, style.DARK])
def test_contrast_is_enough_to_read(palette: str) -> None:
    colors = {name: luminance(color) for name, color in re.findall(r"--(\w+): (#\w{6});", palette)}
    for ground in ("paper", "wash"):
        for name in ("ink", "quiet", "link", "warm", *rows.FAMILIES):
            low, high = sorted((colors[ground], colors[name]))
            assert (high + 0.05) / (low + 0.05) >= 4.5, name
