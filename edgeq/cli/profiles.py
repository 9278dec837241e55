"""edgeq profiles: the kinds of devices that are known, which of them this machine is, and a new one drafted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeq.cli._options import echo_json, json_option

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgeq.records import Profile


@click.group("profiles", invoke_without_command=True)
@json_option
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """List the device profiles, and mark the one that this machine is.

    `edgeq profiles show NAME` says all that is known of one device, with the sources; `edgeq profiles draft` begins a
    profile for this machine. A profile is a YAML file: wherever one is asked for, its path will do.
    """
    if ctx.invoked_subcommand is not None:
        return
    from edgeq import profiles
    from edgeq.access import Access

    here = profiles.detect(Access())
    shelf = [profiles.load(name) for name in profiles.names()]
    if as_json:
        echo_json({"here": here, "profiles": shelf})
        return
    _table(shelf, here)
    if here is None:
        click.echo("\nNone of them is this machine. `edgeq profiles draft --out my.yaml` begins a profile for it.")
    else:
        click.echo(f"\n* is this machine: --profile {here} uses what is known of it.")


@command.command("show")
@click.argument("name")
@json_option
def show(name: str, as_json: bool) -> None:
    """Say all that is known of the device NAME (a profile, or a YAML file), with the sources of the figures."""
    from edgeq import profiles

    profile = profiles.load(name)
    if as_json:
        echo_json(profile)
        return
    for title, text in _facts(profile):
        click.echo(f"{title:14} {text}")


@command.command("draft")
@click.option("--out", type=click.Path(path_type=Path), help="File to write [standard output].")
def draft(out: Path | None) -> None:
    """Begin a profile for this machine: what can be read of it, and what you should add."""
    from edgeq import profiles, store
    from edgeq.access import Access
    from edgeq.errors import InputError

    if out is not None and out.exists():
        raise InputError(f"{out} is there already.", "Give another name, or remove it first.")
    text = profiles.draft(Access())
    if out is None:
        click.echo(text, nl=False)
        return
    store.write_text(out, text)
    click.echo(f"{out} is written. Complete it, then check it: edgeq profiles show {out}")


def _table(shelf: list[Profile], here: str | None) -> None:
    from rich.table import Table

    from edgeq.cli._tables import wide_console

    console = wide_console(200)
    table = Table(box=None, pad_edge=False)
    numbers = ("memory", "GB/s", "price")
    # Where there is no room for them, the names say it well enough.
    about = ("board", "SoC") if console.width >= 120 else ()
    for title in ("", "name", *about, "memory", "GB/s", "backend", "price"):
        table.add_column(
            title,
            justify="right" if title in numbers else "left",
            no_wrap=title in ("name", *numbers),
            overflow="fold",
        )
    for p in shelf:
        memory = f"{p.memory.gib:g} GiB" if p.memory else "-"
        rate = f"{p.memory.gb_s:g}" if p.memory and p.memory.gb_s else "-"
        price = f"{p.price.amount:g} {p.price.currency}" if p.price else "-"
        mark = "*" if p.name == here else ""
        said = (p.board or "-", p.soc or "-") if about else ()
        table.add_row(mark, p.name, *said, memory, rate, p.backend, price)
    console.print(table)


def _facts(p: Profile) -> Iterator[tuple[str, str]]:
    """Everything that a profile says, line by line; what it leaves open is left out."""
    yield "name", p.name
    for title, text in (("description", p.description), ("board", p.board), ("SoC", p.soc)):
        if text:
            yield title, text
    for core in p.cores:
        yield "cores", f"{core.count} {core.name}" + (f", up to {core.max_ghz:g} GHz" if core.max_ghz else "")
    if p.memory:
        yield "memory", " ".join(part for part in (f"{p.memory.gib:g} GiB", p.memory.kind) if part)
        if p.memory.gb_s:
            yield "", f"{p.memory.gb_s:g} GB/s ({p.memory.source})"
        yield "", f"{p.memory.system_gib:g} GiB for the firmware and an idle system"
    if p.gpu:
        own = (f"{p.gpu.gib:g} GiB" if p.gpu.gib else "", f"{p.gpu.gb_s:g} GB/s ({p.gpu.source})" if p.gpu.gb_s else "")
        arch = f"CUDA architecture {p.gpu.cuda_arch}" if p.gpu.cuda_arch else ""
        yield "GPU", ", ".join(part for part in (p.gpu.name, arch, *own) if part)
    yield "backend", p.backend
    yield "programs for", f"{p.target or 'this machine'}, {p.isa}{''.join(f' {a}' for a in p.cmake_args)}"
    yield "runs with", ", ".join(_settings(p))
    if p.sensors is not None:
        yield "sensors", ", ".join(p.sensors)
    if p.meter:
        yield "meter", p.meter.name
    if p.power_channel:
        yield "power", p.power_channel
    for mode in p.power_modes:
        details = (f"{mode.watts:g} W" if mode.watts else "", mode.command)
        yield "power mode", ", ".join(part for part in (mode.name, *details) if part)
    if p.thermal:
        yield "slows down at", f"{p.thermal.throttle_c:g} °C ({p.thermal.source})"
    if p.price:
        yield "price", f"{p.price.amount:g} {p.price.currency} in {p.price.date} ({p.price.source})"
    if p.match:
        by = {"device tree": p.match.device_tree, "DMI": p.match.dmi, "CPU": p.match.cpu, "GPU": p.match.gpu}
        for kind, names in by.items():
            if names:
                yield "recognized by", f"{kind}: {', '.join(names)}"


def _settings(p: Profile) -> Iterator[str]:
    yield f"{p.n_threads or 'all'} threads"
    if p.try_threads:
        yield f"{', '.join(map(str, p.try_threads))} to be tried"
    if p.n_gpu_layers is not None:
        yield f"{p.n_gpu_layers} layers on the GPU"
    yield f"flash attention {p.flash_attn}"
    yield f"KV cache {p.type_k}/{p.type_v}"
