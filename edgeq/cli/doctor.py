"""edgeq doctor: what this machine has and lacks."""

from __future__ import annotations

import click

from edgeq.cli._options import echo_json, json_option


@click.command("doctor")
@json_option
def command(as_json: bool) -> None:
    """Say what this machine has, what is missing and what brings it. Exit status 4 if a needed thing is missing."""
    from edgeq.doctor import examine

    findings = examine()
    if as_json:
        echo_json(findings)
    else:
        for f in findings:
            click.echo(f"{'ok ' if f.ok else 'NO ' if f.needed else '-  '} {f.name:12} {f.text}")
            if f.hint:
                click.echo(f"   {'':12} {f.hint}")
    if any(f.needed and not f.ok for f in findings):
        click.get_current_context().exit(4)
