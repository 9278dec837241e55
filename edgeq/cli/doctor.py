"""edgeq doctor: what this machine has and lacks, and what its sensors can do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from edgeq.cli._options import echo_json, json_option

if TYPE_CHECKING:
    from edgeq.doctor import Finding, Reading, SensorFinding

_METER = " An external meter does, described in a profile (docs/energy.md)."
_UNITS = {"bytes": (2.0**-20, "MiB"), "Hz": (1e-9, "GHz"), "degC": (1.0, "°C")}


@click.command("doctor")
@click.option("--profile", default="local", help="Device profile, with its meter: a name or a YAML file [local].")
@json_option
def command(profile: str, as_json: bool) -> None:
    """Say what this machine has, what is missing and what brings it; read every sensor for a few seconds.

    Exit status 4 where a needed thing is missing or energy can't be measured; speed and memory need no sensor.
    """
    from edgeq import profiles
    from edgeq.access import Access
    from edgeq.doctor import examine

    found = examine(Access(profile=profiles.load(profile)))
    if as_json:
        echo_json(found)
    else:
        _findings("Software", found.software)
        _sensors(found.sensors)
        _findings("Readiness", found.readiness)
        click.echo()
        click.echo(
            "Speed, memory and energy can be measured here."
            if found.measures_power
            else "Speed and memory can be measured here. Energy can't: no sensor gives power."
            + ("" if any(s.state == "silent" for s in found.sensors) else _METER)
        )
    if not found.ok:
        click.get_current_context().exit(4)


def _findings(title: str, findings: tuple[Finding, ...]) -> None:
    click.echo(f"{'' if title == 'Software' else chr(10)}{title}")
    for f in findings:
        _line("ok" if f.ok else "NO" if f.needed else "-", f.name, f.text, f.hint)


def _sensors(sensors: tuple[SensorFinding, ...]) -> None:
    click.echo("\nSensors")
    for s in sensors:
        if s.state != "usable":
            absent = s.state == "absent"
            _line("-" if absent else "NO", s.name, s.text, "" if absent else s.hint)
            continue
        power = [r for r in s.readings if r.quantity in ("energy", "power")]
        others = ", ".join(_value(r) for r in s.readings if r not in power)
        cost = "" if s.read_s is None else f"{s.read_s * 1e3:.2f} ms a read"
        _line("ok", s.name, "; ".join(part for part in (others, cost) if part))
        groups: dict[tuple[object, ...], list[Reading]] = {}
        for r in power:
            groups.setdefault((r.scope, r.kind, r.estimated, r.accuracy), []).append(r)
        for alike in groups.values():
            for line in _power(alike):
                click.echo(f"   {'':16} {line}")


def _value(r: Reading) -> str:
    if r.value is None:
        return r.channel
    scale, unit = _UNITS.get(r.unit, (1.0, r.unit))
    return f"{r.channel} {r.value * scale:.4g} {unit}"


def _power(alike: list[Reading]) -> list[str]:
    """``module VDD_IN 4.96 W``, how it comes, and how true it is, of channels that share scope, kind and accuracy."""
    first = alike[0]
    names = ", ".join(r.channel if r.kind == "counter" else _value(r) for r in alike)
    how = [f"an estimate, {first.kind}" if first.estimated else first.kind]
    if periods := [r.measured_period_s for r in alike if r.measured_period_s]:
        how.append(f"changes every {_seconds(max(periods))}")
    elif first.update_period_s:
        how.append(f"declared to change every {_seconds(first.update_period_s)}")
    if steps := [step for r in alike if (step := r.lsb or r.measured_lsb)]:
        how.append(f"step {max(steps):.3g} {first.unit}")
    if noises := [r.noise for r in alike if r.noise is not None]:
        how.append(f"noise {max(noises):.2g} W")
    return [f"{first.scope}: {names}", f"  {', '.join(how)}", *([f"  {first.accuracy}"] if first.accuracy else [])]


def _seconds(value: float) -> str:
    return f"{value * 1000:.3g} ms" if value < 0.9995 else f"{value:.3g} s"


def _line(mark: str, name: str, text: str, hint: str = "") -> None:
    click.echo(f"{mark:2} {name:16} {text}")
    for line in hint.splitlines():
        click.echo(f"   {'':16} {line}")
