"""What a million tokens cost: energy at the wall and, as a line of its own, the hardware."""

from __future__ import annotations

from edgeq.records import Cost, Energy, Estimate, Speed, Tariff


def cost(speed: Speed, energy: Energy | None, tariff: Tariff) -> Cost:
    """Money per million tokens of one test, from its energy gross of idle, as what idling costs is paid too.

    Energy: J/token * price per kWh / 3.6, brought to the wall by the tariff's efficiency where it was seen at another
    scope; without a stated efficiency there is no figure. Hardware: its price over the tokens of its whole life, None
    where the tariff does not state both.
    """
    hardware = _hardware_per_mtok(speed.tps.value, tariff)
    if energy is None or energy.gross_j_per_token is None:
        basis = (energy.missing if energy else "") or "energy was not measured"
        return Cost(speed.test, None, hardware, estimated=False, basis=basis)
    at_wall = energy.scope == "wall"
    efficiency = 1.0 if at_wall else tariff.efficiency
    if efficiency is None:
        basis = f"--efficiency states how {energy.scope} energy relates to that at the wall; it was not given"
        return Cost(speed.test, None, hardware, estimated=True, basis=basis)
    factor = tariff.per_kwh / 3.6 / efficiency
    j = energy.gross_j_per_token
    return Cost(
        test=speed.test,
        energy_per_mtok=Estimate(j.value * factor, None if j.se is None else j.se * factor),
        hardware_per_mtok=hardware,
        estimated=energy.estimated or not at_wall,
        basis=_basis(energy, efficiency),
    )


def _hardware_per_mtok(tps: float, tariff: Tariff) -> float | None:
    if tariff.device_price is None or tariff.life_h is None:
        return None
    return tariff.device_price / (tariff.life_h * 3600 * tps * tariff.utilization) * 1e6


def _basis(energy: Energy, efficiency: float) -> str:
    if energy.scope == "wall":
        return f"{'estimated' if energy.estimated else 'measured'} at the wall"
    seen = f"estimated {energy.scope}" if energy.estimated else energy.scope
    return f"from {seen} energy at a stated efficiency of {efficiency:g}"
