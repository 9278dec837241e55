"""edgeq pmic: fit a Raspberry Pi 5's board power to its rails."""

from __future__ import annotations

from pathlib import Path

import click

from edgeq.cli._options import echo_json, json_option


@click.command("pmic")
@click.argument("records", nargs=-1, required=True, type=click.Path(path_type=Path))
@json_option
def command(records: tuple[Path, ...], as_json: bool) -> None:
    """Fit a Raspberry Pi 5's board power to the sum of its rails, against your own meter.

    RECORDS are what `edgeq bench` wrote with a profile that describes the meter. The result goes into the profile; from
    then on the meter can stay off, and board power is still marked as an estimate.
    """
    from edgeq import analyze, store
    from edgeq.records import BenchRecord

    fit = analyze.fit_pmic([store.load(path, BenchRecord) for path in records])
    if as_json:
        echo_json(fit)
        return
    click.echo("   rails W    meter W     line W")
    for x, y in sorted(zip(fit.rails_w, fit.meter_w, strict=True)):
        click.echo(f"{x:10.3f} {y:10.3f} {fit.model.gain * x + fit.model.offset_w:10.3f}")
    click.echo(
        f"\n{fit.n_points} phases, residual {fit.residual_w:.3f} W; gain ±{fit.gain_se:.4f}, "
        f"offset ±{fit.offset_se_w:.3f} W (standard errors)\n\nFor the profile:\n\npmic:\n"
        f"  gain: {fit.model.gain:.4f}\n  offset_w: {fit.model.offset_w:.4f}\n  name: {fit.model.name}"
    )
