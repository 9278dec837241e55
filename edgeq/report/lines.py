"""Plots of what records hold over time and by position, as Vega-Lite specifications."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from edgeq.records import BenchRecord, EvalRecord, Summary
from edgeq.report import axes, series
from edgeq.report.axes import Spec
from edgeq.report.rows import labels, plain
from edgeq.report.scatter import WIDTH, framed

STRIP, TALL = 210, 360
# More lines than this in one plot can't be told apart.
TOGETHER = 6
MOST_LINEAR = 10
DASHES = [[1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [12, 3], [4, 6]]
SHAPES = ["circle", "triangle-up", "square", "diamond", "cross", "triangle-down"]


class Block:
    """Plots that belong together: those of each choice, by what the choice is called.

    Kept as JSON: as objects the plots of a thousand records would take hundreds of megabytes.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.choices: dict[str, list[str]] = {}
        self.drawn: dict[str, bytes] = {}

    def add(self, choice: str, parts: Iterator[Spec]) -> None:
        """One more choice, if there is anything to show."""
        n = len(self.choices) + 1
        found = {f"{self.name}-{n}-{index}": msgspec.json.encode(part) for index, part in enumerate(parts, 1)}
        if found:
            self.choices[choice] = list(found)
            self.drawn |= found


def in_the_run(summary: Summary, benches: Sequence[BenchRecord]) -> Block:
    """t/s of every test and the temperature over time, for each run."""
    block, most = Block("run"), series.room(len(benches))
    for name, bench in zip(series.named(benches, _labels(summary)), benches, strict=True):
        block.add(name, _run(name, bench, most))
    return block


def _run(name: str, bench: BenchRecord, most: int) -> Iterator[Spec]:
    yield from _rates(name, bench, most)
    yield from _heat(name, bench, most)


def latencies(summary: Summary, benches: Sequence[BenchRecord]) -> Block:
    """Time of single tokens, for each run."""
    block, most = Block("latency"), min(128, series.room(len(benches)))
    for name, bench in zip(series.named(benches, _labels(summary)), benches, strict=True):
        block.add(name, _latency(name, bench, most))
    return block


def positions(summary: Summary, evals: Sequence[EvalRecord]) -> Block:
    """KLD by position in the chunk, a few files at a time."""
    found = [
        (name, by)
        for name, record in zip(series.named(evals, _labels(summary)), evals, strict=True)
        if (by := series.kld_by_position(record))
    ]
    block = Block("kld-position")
    for start in range(0, len(found), TOGETHER):
        part = found[start : start + TOGETHER]
        block.add(", ".join(name for name, _ in part), iter([_positions(part)]))
    return block


def _labels(summary: Summary) -> dict[str, str]:
    return {sha256: label for (sha256, *_), label in labels(list(summary.rows)).items()}


def _seconds(bench: BenchRecord) -> Spec:
    scale = {"domain": [0, series.length_s(bench)], "nice": False}
    return {"field": "x", "type": "quantitative", "title": "Time since the run began, s", "scale": scale,
            "axis": {"tickCount": 9}}  # fmt: skip


def _along(title: str) -> Spec:
    return {"field": "x", "type": "quantitative", "title": title, "scale": {"zero": False}, "axis": {"tickCount": 9}}


def _told(file: str, **facts: str) -> Spec:
    """What is said of a mark: the file, and ``facts``, each an expression."""
    said = ", ".join(f"'{name.replace('_', ' ')}': {fact}" for name, fact in facts.items())
    first = next(iter(facts.values()))
    return {
        "tooltip": {"expr": f"{{'File': {file}, {said}}}"},
        "description": {"expr": f"{file} + ', ' + {first} + ', ' + {list(facts.values())[-1]}"},
    }


def _number(field: str, unit: str) -> str:
    return f"format(datum.{field}, '.4~g') + ' {unit}'"


def _rates(name: str, bench: BenchRecord, most: int) -> Iterator[Spec]:
    for test in series.tests(bench):
        found = series.rates(bench, test, most)
        if found.tps:
            told = _told("file", At=_number("x", "s"), Repetition="datum.rep", Rate=_number("y", "t/s"))
            y = axes.linear(found.tps, f"{plain(test)}, t/s").encoding("y", 4)
            yield _framed(f"{plain(test)} in the course of the run", name, found.tps, "t/s", STRIP) | {
                "data": {"values": [{"x": x, "y": y, "rep": rep} for x, y, rep in zip(*found, strict=True)]},
                "encoding": {"x": _seconds(bench), "y": y},
                "layer": [_thread("rep"), _dots(told)],
            }


def _framed(title: str, name: str, values: list[float], unit: str, height: int) -> Spec:
    """A plot of one file, whose name is at hand in expressions."""
    spoken = f"{title}, {name}: {min(values):.4g} to {max(values):.4g} {unit}."
    return framed(f"{title}: {name}", spoken, WIDTH, height) | {"params": [{"name": "file", "value": name}]}


def _thread(detail: str | None) -> Spec:
    encoding = {"encoding": {"detail": {"field": detail, "type": "nominal"}}} if detail else {}
    return {"mark": {"type": "line", "style": "plain", "fill": None, "strokeWidth": 1.2, "aria": False}, **encoding}


def _dots(told: Spec) -> Spec:
    mark = {"type": "point", "filled": True, "style": "plain", "stroke": None, "size": 22, "opacity": 1, **told}
    return {"name": "points", "mark": mark}


def _heat(name: str, bench: BenchRecord, most: int) -> Iterator[Spec]:
    found = series.heat(bench, most)
    if found:
        heights = [y for one in found for y in one.celsius]
        told = _told("file", At=_number("x", "s"), Sensor="datum.line", Temperature=_number("y", "°C"))
        values = [
            {"x": x, "y": y, "line": one.name} for one in found for x, y in zip(one.seconds, one.celsius, strict=True)
        ]
        y = axes.linear(heights, "Temperature, °C").encoding("y", 4)
        yield _framed("Temperature in the course of the run", name, heights, "°C", STRIP) | {
            "data": {"values": values},
            "encoding": {"x": _seconds(bench), "y": y},
            "layer": _several([one.name for one in found], 16, told),
        }


def _several(names: list[str], size: int, told: Spec) -> list[Spec]:
    """Lines that differ in hue, dashes and the shape of their marks, with a key."""
    lines = list(dict.fromkeys(names))
    line: Spec = {"field": "line", "type": "nominal", "scale": {"domain": lines}}
    dashes = {**line, "scale": {"domain": lines, "range": DASHES[: len(lines)]}}
    shapes = {**line, "scale": {"domain": lines, "range": SHAPES[: len(lines)]}}
    line_mark = {"type": "line", "strokeWidth": 1.5, "aria": False}
    dots = {"type": "point", "filled": True, "size": size, "opacity": 1, **told}
    return [
        {"mark": line_mark, "encoding": {"color": line, "strokeDash": dashes}},
        {"name": "points", "mark": dots, "encoding": {"color": line, "shape": shapes}},
    ]


def _latency(name: str, bench: BenchRecord, most: int) -> Iterator[Spec]:
    for test in series.tests(bench):
        found = series.latency(bench, test, most)
        if found:
            low_to_high = f"format(datum.low, '.4~g') + ' to ' + {_number('high', 'ms')}"
            told = _told("file", Token="datum.x", Middle_90_percent=low_to_high, Median=_number("y", "ms"))
            y = _times([*found.low, *found.high], f"{plain(test)}, ms per token")
            named = ("x", "y", "low", "high")
            title = f"{plain(test)}: time of single tokens"
            yield _framed(title, name, found.median, "ms", STRIP + 50) | {
                "data": {"values": [dict(zip(named, one, strict=True)) for one in zip(*found, strict=True)]},
                "encoding": {"x": _along("Token of the test"), "y": y.encoding("y", 4)},
                "layer": [_band(y), _thread(None), _dots(told)],
            }


def _times(values: list[float], title: str) -> axes.Axis:
    """Logarithmic where single stalls would press all else onto the axis."""
    if max(values) > MOST_LINEAR * min(values) > 0:
        return axes.log(values, f"{title} (log scale)")
    return axes.linear(values, title)


def _band(y: axes.Axis) -> Spec:
    mark = {"type": "area", "style": "plain", "stroke": None, "opacity": 0.2, "aria": False}
    return {"mark": mark, "encoding": {"y": y.encoding("low", 4), "y2": {"field": "high"}}}


def _positions(found: list[tuple[str, series.ByPosition]]) -> Spec:
    y = axes.log([kld for _, by in found for kld in by.kld], "Mean KLD, nats (log scale)")
    values = [
        {"x": x, "y": y.drawn(kld), "line": name, "kld": kld, "se": se}
        for name, by in found
        for x, kld, se in zip(*by, strict=True)
    ]
    kld = "format(datum.kld, '.3~g') + ' ±' + format(datum.se, '.1~g') + ' nats'"
    told = _told("datum.line", Around_position="datum.x", Mean_KLD=kld)
    title = "Mean KLD by position in the chunk"
    return framed(title, f"{title}: {', '.join(name for name, _ in found)}.", WIDTH, TALL) | {
        "data": {"values": values},
        "encoding": {"x": _along("Position in the chunk, tokens"), "y": y.encoding("y")},
        "layer": _several([name for name, _ in found], 30, told),
    }
