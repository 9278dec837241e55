"""What is said of a front in every form of the report."""

from __future__ import annotations

from collections.abc import Sequence

from edgeq.records import Allocation, Figure, Front, FrontRow, Segment
from edgeq.report.figures import EMPTY, Cell, approximate, count, estimate, interval, number, percent, size, size_unit
from edgeq.report.rows import plain
from edgeq.report.tables import Column, Table, text_cell

ABOUT = (
    "Against stock: KLD over that of the best of llama.cpp's own types here that is no larger, on the same tokens, "
    "with a 95 % interval over chunks of text; below 1 is better. Predicted is what the probes add up to."
)
DEPTHS = ("first block", "blocks 1-3", "first third", "second third", "last third", "last block")


def title(front: Front) -> str:
    """What the page is about."""
    return f"{plain(front.model.name)}: the best files for {', '.join(front.best)}"


def lede(front: Front) -> str:
    """What was done, in one or two sentences."""
    p = front.probed
    texts = " and ".join(f"{count(n)} tokens of {plain(name)}" for name, n in front.n_tokens.items())
    by = "tensor" if p["by"] == "tensor" else "segment of tensors"
    return (
        f"What each {by} is worth comes from {p['probes']} probes on {count(int(p['tokens']))} tokens of "
        f"{plain(str(p['texts']))}. Measured on {texts}, which no probe has seen."
    )


def table(front: Front) -> Table[FrontRow]:
    """One line for each file, the smallest first."""
    unit = size_unit(max(row.n_bytes for row in front.rows))
    columns: list[Column[FrontRow]] = [
        Column("File", "", lambda r: text_cell(r.name), 0, True),
        Column("bpw", "", lambda r: number(r.bpw, 4), 1),
        Column("Size", unit[1], lambda r: size(r.n_bytes, unit), 40),
        Column("Predicted", "KLD", lambda r: number(r.predicted_kld), 50),
    ]
    for i, name in enumerate(front.n_tokens):
        columns += _of_text(plain(name), name, 10 * i)
    columns.append(Column("Verdict", "", lambda r: text_cell(r.verdict or ""), 3, True))
    return Table(columns, list(front.rows), _marks(front))


def _of_text(label: str, name: str, rank: int) -> list[Column[FrontRow]]:
    def kld(row: FrontRow) -> Cell:
        found = row.quality.get(name)
        return estimate(found.kld) if found else EMPTY

    def top1(row: FrontRow) -> Cell:
        found = row.quality.get(name)
        return percent(found.top1.value) if found and found.top1 else EMPTY

    def against(row: FrontRow) -> Cell:
        return ratio(row.against.get(name))

    return [
        Column("KLD", label, kld, 2 + rank),
        Column("Top-1", f"{label}\n%", top1, 30 + rank),
        Column("Against\nstock", f"{label}\n×", against, 4 + rank),
        Column("Stock", label, lambda row: text_cell(row.rivals.get(name, "")), 20 + rank, True),
    ]


def ratio(found: Figure | None) -> Cell:
    """A ratio with its interval."""
    if found is None:
        return EMPTY
    ends = f" ({interval(found.ci95)})" if found.ci95 else ""
    return Cell(f"{found.estimate.value:.2f}{ends}", "", found.estimate.value)


def _marks(front: Front):  # type: ignore[no-untyped-def]
    best = set(front.best.values())
    return lambda row: ["front"] if row.name in best else []


def chosen(front: Front) -> list[str]:
    """What to take for each target."""
    return [f"For {target} take {name}." for target, name in front.best.items()]


def explained(allocation: Allocation) -> Table[str]:
    """Which types were chosen, by kind of tensor and depth, and the damage that they do for their bytes."""
    groups = list(dict.fromkeys(s.group for s in allocation.segments))
    found = {(s.group, s.depth): s for s in allocation.segments}
    total = sum(s.damage for s in allocation.segments) or 1.0
    columns: list[Column[str]] = [Column("Tensor", "", text_cell, 0, True)]
    for depth, name in enumerate(DEPTHS):
        if any((g, depth) in found for g in groups):
            columns.append(_depth(name, depth, found))

    def of(group: str) -> Sequence[Segment]:
        return [s for s in allocation.segments if s.group == group]

    def per_mib(group: str) -> Cell:
        return number(sum(s.damage for s in of(group)) / (sum(s.n_bytes for s in of(group)) / 2**20), 2)

    columns.append(Column("Bytes", "%", lambda g: percent(sum(s.n_bytes for s in of(g)) / _bytes(allocation)), 2))
    columns.append(Column("Damage", "%", lambda g: percent(sum(s.damage for s in of(g)) / total), 1))
    columns.append(Column("KLD", "per MiB", per_mib, 3))
    return Table(columns, groups)


def _bytes(allocation: Allocation) -> int:
    return sum(s.n_bytes for s in allocation.segments) or 1


def _depth(name: str, depth: int, found: dict[tuple[str, int], Segment]) -> Column[str]:
    def cell(group: str) -> Cell:
        segment = found.get((group, depth))
        if segment is None:
            return EMPTY
        kinds = segment.types
        return text_cell(" ".join(kinds) if len(kinds) == 1 else " ".join(f"{n}×{k}" for k, n in kinds.items()))

    return Column(name, "", cell, 5 + depth, True)


def predicted(allocations: Sequence[Allocation]) -> Table[Allocation]:
    """What a dry run gives."""
    unit = size_unit(max(a.n_bytes for a in allocations))
    timed: list[Column[Allocation]] = [
        Column("t/s", "at most", lambda a: approximate(number(1 / a.decode_s if a.decode_s else None), True), 4),
        Column("J", "a token", lambda a: approximate(number(a.decode_j), True), 5),
    ]
    return Table(
        [
            Column("File", "", lambda a: text_cell(a.recipe.name), 0, True),
            Column("bpw", "", lambda a: number(a.bpw, 4), 1),
            Column("Size", unit[1], lambda a: size(a.n_bytes, unit), 2),
            Column("Predicted", "KLD", lambda a: number(a.predicted_kld), 3),
            *(c for c in timed if any(c.cell(a) != EMPTY for a in allocations)),
        ],
        list(allocations),
    )


def settings(front: Front) -> list[tuple[str, str]]:
    """How it was measured."""
    p, s = front.probed, front.settings
    return [
        (
            "Probes",
            f"{p['probes']}, by {p['by']}, {count(int(p['tokens']))} tokens, {float(p['seconds']) / 60:.1f} minutes",
        ),
        ("Probed on", plain(str(p["texts"]))),
        ("Candidates", str(p["types"])),
        ("Measured on", ", ".join(f"{plain(n)} ({count(t)} tokens)" for n, t in front.n_tokens.items())),
        ("Chunks", f"{s.n_ctx} tokens, scored from {s.first}"),
        ("llama.cpp", front.llama_commit[:9]),
        ("Machine", plain(front.host.cpu)),
    ]
