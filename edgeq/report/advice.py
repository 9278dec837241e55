"""Advice in words: wrapped text for the terminal, a section for the page."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from edgeq.records import Note
from edgeq.records.advice import Advice, Answer, Check, Choice, Difference, LimitCost, Nearest, TariffRange
from edgeq.report.figures import ABOUT, count, estimate, significant, size, size_unit
from edgeq.report.markup import bullets, definitions, paragraphs, safe, section
from edgeq.report.rows import plain

_WIDTH = 80
_SETTINGS, _FIGURES, _BREAKS = "Measured with", "Figures", "What breaks"
_SIZES = ("RAM peak", "file size")


class Part(NamedTuple):
    """A heading and what is said under it. ``hang``: by how much the second line of each is indented."""

    title: str
    lines: Sequence[str]
    hang: int = 2


def advice(said: Advice) -> str:
    """Everything, at most 80 columns wide."""
    blocks = []
    for answer in said.answers:
        head, *others = _parts(answer, said)
        first = [*_wrapped(head.title, ""), *(row for line in head.lines for row in _wrapped(line))]
        blocks.append("\n".join([*first, *(row for part in others for row in _block(part))]))
    notes = _notes("For all devices", said.notes)
    return "\n".join(["\n\n".join(blocks), *(row for part in notes for row in _block(part))])


def advice_section(said: Advice | None) -> str:
    """The same as a part of the page: the answers open, how they came about folded."""
    if said is None:
        return ""
    body = []
    for answer in said.answers:
        head, *others = _parts(answer, said)
        facts = definitions([fact for part in others for fact in _facts(part)])
        broken = [p for p in others if p.title == _BREAKS]
        folded = [p for p in others if p.title not in (_SETTINGS, _FIGURES, _BREAKS)]
        body.append(f"<h3>{safe(head.title)}</h3>\n{paragraphs(list(head.lines))}")
        body += [facts.replace("<dl>", '<dl class="facts">', 1), _html(broken)]
        if folded:
            body.append(f"<details>\n<summary>How it compares</summary>\n{_html(folded)}\n</details>")
    body.append(_html(list(_notes("For all devices", said.notes))))
    hint = "<p><code>edgeq recommend</code> takes limits, a goal and prices into account.</p>"
    return section("recommendation", "Recommendation", "\n".join([*body, hint]))


def _facts(part: Part) -> list[tuple[str, str]]:
    """Figures by their axis, which is the first word of each, and the settings."""
    if part.title == _SETTINGS:
        return [(part.title, " ".join(part.lines))]
    split = (line.partition(" ") for line in part.lines if part.title == _FIGURES)
    return [(axis.capitalize(), text.strip()) for axis, _, text in split]


def _html(parts: Sequence[Part]) -> str:
    return "\n".join(f"<h4>{safe(p.title)}</h4>\n{bullets(list(p.lines))}" for p in parts if p.lines)


def _parts(answer: Answer, said: Advice) -> Iterator[Part]:
    where = plain(answer.device) or "device not named"
    what = f"ship {plain(answer.pick.label)}" if answer.pick else "no file to recommend"
    kept = f"{count(answer.n_allowed)} of {count(answer.n_files)} files keep every limit."
    limited = answer.limit_costs and answer.n_allowed
    yield Part(f"{where}: {what}", [plain(answer.why), *([kept] if limited else [])])
    if answer.pick:
        yield from _pick(answer.pick, answer, said)
    if answer.nearest:
        yield _nearest(answer.nearest)
    yield Part("Limits", [line for cost in answer.limit_costs for line in _limit(cost, answer)])
    if said.wanted.tariff and answer.pick:
        decides = said.wanted.goal == "cost"
        yield Part("Price of a kWh", [_tariff(answer.tariff, decides, said.wanted.tariff.per_kwh)])
    if len(answer.front) > 1 and answer.pick:
        groups = ", ".join(" = ".join(map(plain, group)) for group in answer.front)
        alike = " Files joined by = are alike on all of these." if any(len(g) > 1 for g in answer.front) else ""
        yield Part(f"Nothing beats these on {', '.join(answer.front_axes)}", [f"{groups}.{alike}"])
    yield from _notes("Notes", answer.notes)


def _pick(pick: Choice, answer: Answer, said: Advice) -> Iterator[Part]:
    yield Part(_SETTINGS, [_settings(pick, said)])
    yield Part(_FIGURES, list(_figures(pick, said)), 9)
    yield Part(_BREAKS, [note.text for note in answer.broken])
    lines = []
    for runner in answer.runners_up:
        there = _difference(runner.there) if runner.there else "the pick has no figure here"
        if runner.there and not runner.there.better:
            there += ", not better"
        elsewhere = ", ".join(map(_difference, runner.elsewhere))
        lines.append(f"{runner.axis:<9}{plain(runner.label)}: {there}" + (f"; {elsewhere}" if elsewhere else ""))
    yield Part("Best of the other allowed files on each axis, against the pick", lines, 9)


def _settings(pick: Choice, said: Advice) -> str:
    if pick.measured_on:
        return f"Measured on {plain(pick.measured_on)}, not on this board: quality and file size only."
    s = pick.settings
    if s is None:
        return "Not known: there is no record of its settings."
    threads = f"{s.n_threads} thread{'' if s.n_threads == 1 else 's'}" if s.n_threads else "the default of threads"
    contexts = [
        f" (context of {t.n_depth + t.n_prompt + t.n_gen} tokens)" for t in s.tests if t.name == said.wanted.test
    ]
    parts = [
        f"{threads}, {said.wanted.test}{''.join(contexts)}",
        f"KV cache {s.type_k}/{s.type_v}, flash attention {s.flash_attn}, {s.n_gpu_layers} layers on the GPU",
        f"backend {pick.backend or 'not known'}, power mode {plain(pick.power_mode or 'not known')}",
    ]
    return "; ".join(parts) + "."


def _figures(pick: Choice, said: Advice) -> Iterator[str]:
    f, tariff = pick.figures, said.wanted.tariff
    if pick.reference:
        yield "quality  KLD 0, top-1 100 %, PPL ratio 1: it is the reference itself"
    else:
        top1 = f"{estimate(f.top1, 100).figure} %" if f.top1 else "-"
        yield f"quality  KLD {estimate(f.kld).figure}, top-1 {top1}, PPL ratio {estimate(f.ppl_ratio).figure}"
    rss = _size(f.rss_peak_bytes) if f.rss_peak_bytes is not None else "-"
    elsewhere = f" ({_size(pick.rss_elsewhere_bytes)} on the other machine)" if pick.rss_elsewhere_bytes else ""
    yield f"memory   RAM peak {rss}{elsewhere}, file {_size(f.n_bytes)}, {pick.bpw:.2f} bits per parameter"
    state = f", {', '.join(map(plain, f.state))}" if f.state else ""
    yield f"speed    {estimate(f.tps).figure} t/s{state}"
    about = ABOUT if f.estimated else ""
    energy = (
        f"{about}{estimate(f.j_per_token).figure} J/token gross, {plain(f.scope)}" if f.j_per_token else "- J/token"
    )
    yield f"energy   {energy}"
    about = ABOUT if f.cost_estimated else ""
    money = f"{about}{estimate(f.cost_per_mtok).figure}" if f.cost_per_mtok else "-"
    at = f" at {tariff.per_kwh:g} per kWh" if tariff else ""
    hardware = f", {significant(f.hardware_per_mtok, 3)} of it hardware" if f.hardware_per_mtok is not None else ""
    yield f"money    {money} per million tokens{at}{hardware if f.cost_per_mtok else ''}"
    if f.estimated or f.cost_estimated:
        yield f"{ABOUT} is an estimate: a model or a stated efficiency, no measurement at the wall."


def _limit(cost: LimitCost, answer: Answer) -> Iterator[str]:
    check = next((c for c in answer.checks if c.option == cost.option), None)
    name = f"{cost.option} {_bound(cost.metric, cost.limit)}"
    close = " The pick is within its own error of it." if check and check.close else ""
    if cost.label is None:
        yield f"{name}: without it alone there would still be no answer."
    elif cost.same:
        yield f"{name}: costs nothing, the answer is the same without it.{close}"
    else:
        better = f" ({_difference(cost.there)})" if cost.there else ""
        yield f"{name}: without it {plain(cost.label)} would win{better}.{close}"


def _nearest(found: Nearest) -> Part:
    missed = [c for c in found.checks if not c.ok]
    lines = [_miss(c) for c in missed]
    unknown = sum(c.miss is None for c in missed)
    besides = f", and {unknown} of its figures {'is' if unknown == 1 else 'are'} not known" if unknown else ""
    lines.append(f"In all it misses by {found.miss:.1%}, the sum of each miss over its limit{besides}.")
    return Part(f"Nearest: {plain(found.choice.label)}", lines)


def _miss(c: Check) -> str:
    limit = _bound(c.metric, c.limit)
    if c.value is None:
        return f"{c.option}: {c.metric} is not known, the limit is {limit}"
    return f"{c.option}: {c.metric} {_value(c.metric, c.value)}, the limit is {limit}: misses by {c.miss:.1%} of it"


def _tariff(found: TariffRange | None, decides: bool, per_kwh: float) -> str:
    if found is None:
        return "No file's cost is known, so nothing can be said of it."
    upto = f"to {found.high:.6g}" if found.high is not None else "upward"
    text = f"{plain(found.label)} is the cheapest allowed file from {found.low:.6g} {upto} per kWh."
    text += f" Below, {plain(found.below)} follows." if found.below else ""
    text += f" Above, {plain(found.above)} follows." if found.above else ""
    if decides:
        return text
    return f"The answer does not depend on it, as cost is not the goal. At {per_kwh:g} per kWh: {text}"


def _difference(d: Difference) -> str:
    values = f"{d.metric} {_value(d.metric, d.other)} for {_value(d.metric, d.pick)}"
    return values + _change(d) + ("" if d.apart or d.pick == d.other else ", not told apart")


def _change(d: Difference) -> str:
    """The other over the pick: in percent, or as a factor where that is easier to read."""
    if not d.pick or not d.other:
        return ""
    ratio = d.other / d.pick
    if not 1 / 3 < ratio < 3:
        return f" ({ratio:.2g} times)"
    return f" ({ratio - 1:+.{1 if abs(ratio - 1) < 0.1 else 0}%})"


def _value(metric: str, value: float) -> str:
    return _size(round(value)) if metric in _SIZES else significant(value, 3)


def _bound(metric: str, limit: float) -> str:
    return _value(metric, limit) if metric in _SIZES else f"{limit:g}"


def _size(n_bytes: int) -> str:
    unit = size_unit(n_bytes)
    return f"{size(n_bytes, unit)} {unit[1]}"


def _notes(title: str, notes: Sequence[Note]) -> Iterator[Part]:
    if notes:
        yield Part(title, [plain(f"{note.text} {note.hint}") for note in notes])


def _block(part: Part) -> list[str]:
    if not part.lines:
        return []
    rows = [row for line in part.lines for row in _wrapped(line, "  ", " " * part.hang)]
    return ["", *_wrapped(f"{part.title}:", ""), *rows]


def _wrapped(text: str, indent: str = "  ", hang: str = "  ") -> list[str]:
    return textwrap.wrap(
        text, _WIDTH, initial_indent=indent, subsequent_indent=indent + hang if indent else "", break_on_hyphens=False
    )
