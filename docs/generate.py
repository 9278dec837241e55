"""Writes the generated parts of README and docs; with --check it only says which of them are stale.

Between a line ``<!-- generated: NAME -->`` and the next ``<!-- end -->`` stands what the function of that name gives.
"""

from __future__ import annotations

import ast
import io
import re
import sys
from collections.abc import Callable
from pathlib import Path

import click
import msgspec
from rich.console import Console

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from edgeq import cli, plugins, profiles, report, store  # noqa: E402
from edgeq.analyze.advice import recommend  # noqa: E402
from edgeq.pipeline.methods import shelf  # noqa: E402
from edgeq.records import (  # noqa: E402
    BenchRecord,
    Build,
    Bundle,
    EvalRecord,
    Front,
    GenerationRecord,
    Gguf,
    Imatrix,
    MethodsPlan,
    MethodsRun,
    MethodsTable,
    Moments,
    Plan,
    Profile,
    Recipe,
    Run,
    Sensitivities,
    Summary,
    TaskRecord,
    TypesRecord,
)
from edgeq.records.advice import Wanted  # noqa: E402

DEMO = ROOT / "docs" / "demo" / "summary.json"
COMPARED = ROOT / "docs" / "demo" / "methods.json"
FRONT = ROOT / "docs" / "demo" / "front.json"
REFINED = ROOT / "docs" / "demo" / "refined.json"
_BLOCK = re.compile(r"(<!-- generated: (\w+) -->\n)(.*?)(<!-- end -->)", re.S)


def commands() -> str:
    """Every command's own help text."""
    context = click.Context(cli.cli, info_name="edgeq", max_content_width=100, terminal_width=100)
    parts = []
    for name in cli.cli.list_commands(context):
        command = cli.cli.get_command(context, name)
        assert command is not None
        inner = click.Context(command, info_name=name, parent=context, max_content_width=100, terminal_width=100)
        parts.append(f"## edgeq {name}\n\n```text\n{command.get_help(inner).rstrip()}\n```\n")
    return "\n".join(parts)


def imports() -> str:
    """The import table that the tests enforce, as Markdown."""
    text = (ROOT / "tests" / "test_architecture.py").read_text()
    wanted = {"NOUNS", "TOOLBOX", "ROOMS", "MAY_IMPORT"}
    space: dict[str, object] = {}
    for node in ast.parse(text).body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(target, ast.Name) and target.id in wanted and isinstance(node, (ast.Assign, ast.AnnAssign)):
            space[target.id] = eval(ast.unparse(node.value), {}, dict(space))  # type: ignore[arg-type]
    table = space["MAY_IMPORT"]
    assert isinstance(table, dict)
    rows = [f"| `{m}` | {', '.join(f'`{x}`' for x in sorted(may)) or 'nothing'} |" for m, may in table.items()]
    return "| module | may import |\n|---|---|\n" + "\n".join(rows) + "\n"


def demo() -> str:
    """The table that `make demo` ended with, from the summary that the run left."""
    summary = store.load(DEMO, Summary)
    out = io.StringIO()
    Console(file=out, width=110).print(report.terminal(summary))
    text = "\n".join(line.rstrip() for line in out.getvalue().splitlines())
    return f"```text\n{text.strip()}\n```\n"


def advice() -> str:
    """What `edgeq recommend` says of the demo's run."""
    said = recommend(store.load(DEMO, Summary).rows, Wanted(max_ram_bytes=25 * 2**20, min_tps=1000))
    return f"```text\n{report.advice(said)}\n```\n"


def sensors() -> str:
    """What each file of the sensor shelf says of itself."""
    rows = []
    for name in plugins.modules("sensors"):
        said = (plugins.module("sensors", name).__doc__ or "").split("\n\n")[0]
        rows.append(f"| `{name}` | {' '.join(said.split())} |")
    return "| sensor | |\n|---|---|\n" + "\n".join(rows) + "\n"


def devices() -> str:
    """The profiles of the shelf."""
    rows = []
    for p in map(profiles.load, profiles.names()):
        cores = " + ".join(f"{c.count} {c.name}" for c in p.cores) or "-"
        memory = f"{p.memory.gib:g} GiB {p.memory.kind}".strip() if p.memory else "-"
        rate = f"{p.memory.gb_s:g}" if p.memory and p.memory.gb_s else "-"
        what = p.description.removesuffix(".")
        rows.append(f"| `{p.name}` | {what} | {cores} | {memory} | {rate} | {p.backend} | `{p.isa}` |")
    head = "| profile | device | cores | memory | GB/s | backend | isa |"
    return f"{head}\n|---|---|---|---|---|---|---|\n" + "\n".join(rows) + "\n"


def methods() -> str:
    """The shelf of methods: what each is, and the files and ways of running them that show it."""
    rows = []
    for name, module in shelf(()).items():
        arms = ", ".join(f"{arm.name}{'†' if arm.control else ''}" for arm in module.ARMS)
        rows.append(f"| {module.NUMBER} | `{name}` | {module.DEFINITION} | {arms} |")
    return "| | method | definition | arms |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"


def options() -> str:
    """The options of the methods, for recipes."""
    rows = [
        f"| `{name}` | {', '.join(f'`{key}: {str(value).lower()}`' for key, value in module.OPTIONS.items())} |"
        for name, module in shelf(()).items()
        if module.OPTIONS
    ]
    return "| method | options and their defaults |\n|---|---|\n" + "\n".join(rows) + "\n"


def compared() -> str:
    """The table of `edgeq methods` on a real model, from what the run left."""
    return report.methods_markdown(store.load(COMPARED, MethodsTable))


def front() -> str:
    """Mixes and stock types by size, from what `edgeq quantize --target-bpw` left."""
    found = store.load(FRONT, Front)
    texts = list(found.n_tokens)
    head = ["file", "bpw", "predicted", *(f"KLD, {t}" for t in texts), *(f"against stock, {t}" for t in texts)]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for row in found.rows:
        klds = (row.quality[t].kld for t in texts)
        cells = [f"{k.value:.3g} ±{k.se:.1g}" if k and k.se else "-" for k in klds]
        name = f"**{row.name}**" if row.name in found.best.values() else row.name
        predicted = f"{row.predicted_kld:.3g}" if row.predicted_kld else ""
        for t in texts:
            ratio = row.against.get(t)
            ends = f" ({ratio.ci95[0]:.2f} to {ratio.ci95[1]:.2f})" if ratio and ratio.ci95 else ""
            cells.append(f"{ratio.estimate.value:.2f}{ends} of {row.rivals[t]}" if ratio else "")
        lines.append(f"| {name} | {row.bpw:.3f} | {predicted} | " + " | ".join(cells) + " |")
    about = ", ".join(f"{n:,} tokens of {t}" for t, n in found.n_tokens.items())
    return (
        "\n".join(lines) + f"\n\nScored: {about}. Bold: the file to take for a target. Intervals of 95 % over chunks.\n"
    )


def refined() -> str:
    """Each type as the encoder makes it, refined, with scales folded in, and with both."""
    found = store.load(REFINED, Summary)
    rows = {r.name: r for r in found.rows}
    pairs = {p.refined_sha256: p for p in found.refined}
    ways = ("", "-refined", "-awq", "-awq-refined")
    head = "| type | imatrix | refined | its ratio | AWQ | AWQ, refined | its ratio to AWQ |\n" + "|---" * 7 + "|\n"
    lines = []
    for name in (n for n in ("Q2_K", "Q3_K", "Q4_0", "IQ4_XS", "Q4_K", "Q5_K", "Q6_K") if n in rows):
        cells = []
        for way in ways:
            row = rows.get(name + way)
            q = row.quality if row else None
            known = q and q.kld and q.kld.se and q.top1
            cells.append(f"{q.kld.value:.3g} ±{q.kld.se:.1g}, {q.top1.value:.1%}" if q and known else "-")  # type: ignore[union-attr,str-format]
            if way.endswith("refined"):
                pair = pairs.get(row.sha256) if row else None
                ends = f" ({pair.ci95[0]:.2f} to {pair.ci95[1]:.2f})" if pair and pair.ci95 else ""
                cells.append(f"{pair.ratio.value:.2f}{ends}" if pair else "-")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    scored = next(r.quality.n_tokens for r in found.rows if r.quality)
    text = ", ".join(c.name for c in found.corpus)
    about = f"KLD and top-1 agreement on {scored:,} tokens of {text}; ratios of KLD with intervals of 95 % over chunks."
    return head + "\n".join(lines) + f"\n\n{about}\n"


def glance() -> str:
    """Of each method the arm closest to 4.5 bits per weight, on the text that calibration has not seen the like of."""
    table = store.load(COMPARED, MethodsTable)
    other = table.texts[-1]
    rows = []
    for number in range(1, 13):
        arms = [r for r in table.rows if r.number == number and r.quality and not r.arm.control]
        if not arms:
            continue
        row = min(arms, key=lambda r: abs((r.weight_bpw or 16) - 4.5))
        kld, top1 = row.quality[other].kld, row.quality[other].top1
        assert kld and top1
        bits = "-" if row.weight_bpw is None else f"{row.weight_bpw:.2f}"
        figures = f"{kld.value:.3g} ±{kld.se:.1g} | {top1.value:.1%}"
        rows.append(f"| {number} | {row.title} | {row.arm.name} | {bits} | {figures} |")
    head = "| | method | shown by | bits per weight | KLD, nats | top-1 |\n|---|---|---|---|---|---|\n"
    return head + "\n".join(rows) + "\n"


def schema() -> str:
    """JSON Schema of everything that lies on disk."""
    kinds = (BenchRecord, Build, Bundle, EvalRecord, GenerationRecord, Gguf, Imatrix, MethodsPlan, MethodsRun)
    kinds += (MethodsTable, Moments, Plan, Profile, Recipe, Run, Summary, TaskRecord, Front, Sensitivities, TypesRecord)
    (_, components) = msgspec.json.schema_components(kinds, ref_template="#/$defs/{name}")
    document = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": components}
    return msgspec.json.format(msgspec.json.encode(document), indent=1).decode() + "\n"


BLOCKS: dict[str, Callable[[], str]] = {
    "commands": commands,
    "imports": imports,
    "sensors": sensors,
    "demo": demo,
    "advice": advice,
    "devices": devices,
    "methods": methods,
    "options": options,
    "compared": compared,
    "glance": glance,
    "front": front,
    "refined": refined,
}


def documents() -> dict[Path, str]:
    """What every document with generated parts should be."""
    wanted = {}
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        text = path.read_text()
        wanted[path] = _BLOCK.sub(lambda m: f"{m[1]}{BLOCKS[m[2]]()}{m[4]}", text)
    wanted[ROOT / "docs" / "schema.json"] = schema()
    return wanted


def main() -> int:
    """Write, or with --check compare."""
    stale = [p for p, text in documents().items() if not p.exists() or p.read_text() != text]
    if "--check" in sys.argv:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is stale: run `make docs`")
        return 1 if stale else 0
    for path, text in documents().items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
