"""Money per million tokens: exact figures, and no figure at the wall that nothing leads to."""

from __future__ import annotations

import pytest

from edgeq.records import Energy, Estimate, Speed, Tariff
from edgeq.stats.cost import cost

TARIFF = Tariff(per_kwh=0.30)


def speed(tps: float) -> Speed:
    return Speed("tg128", 10, Estimate(tps))


def energy(j_per_token: float, se: float | None = None, scope: str = "wall", estimated: bool = False) -> Energy:
    gross, net = Estimate(j_per_token, se), Estimate(j_per_token / 2)
    return Energy("tg128", scope, "meter", estimated, True, 1280, 60.0, gross, net)


def test_four_joules_per_token_at_thirty_cents() -> None:
    found = cost(speed(10), energy(4.0, 0.12), TARIFF)
    assert found.energy_per_mtok == Estimate(pytest.approx(1 / 3), pytest.approx(0.01))
    assert (found.test, found.hardware_per_mtok, found.estimated) == ("tg128", None, False)
    assert found.basis == "measured at the wall"


@pytest.mark.parametrize(
    ("tps", "load_w", "idle_w", "gross", "net"),
    [(75.41, 148.0, 28.89, 1.96, 1.58), (55.90, 173.6, 33.3, 3.10, 2.51), (39.98, 137.4, 29.5, 3.44, 2.70)],
    ids=["35B-A3B Q4_0", "gpt-oss-120b MXFP4", "80B-A3B Q8_0"],
)
def test_published_wall_readings_cost_what_their_kilowatt_hours_cost(
    tps: float, load_w: float, idle_w: float, gross: float, net: float
) -> None:
    """Strix Halo, tg1024, smart plug: hogeheer499-commits/strix-halo-guide, community_power.csv."""
    # To their last digit, which the authors did not always round from the watts that they print.
    assert (load_w / tps, (load_w - idle_w) / tps) == pytest.approx((gross, net), abs=0.006)
    hours = 1e6 / tps / 3600
    found = cost(speed(tps), energy(load_w / tps), TARIFF)
    assert found.energy_per_mtok.value == pytest.approx(load_w / 1000 * hours * 0.30)


@pytest.mark.parametrize("scope", ["board", "module", "package + gpu", "rail"])
def test_energy_inside_the_machine_needs_a_stated_efficiency_and_stays_an_estimate(scope: str) -> None:
    inside = energy(4.0, 0.12, scope)
    without = cost(speed(10), inside, TARIFF)
    assert without.energy_per_mtok is None
    assert "--efficiency" in without.basis and scope in without.basis
    found = cost(speed(10), inside, Tariff(0.30, efficiency=0.88))
    assert found.energy_per_mtok == Estimate(pytest.approx(1 / 3 / 0.88), pytest.approx(0.01 / 0.88))
    assert found.basis == f"from {scope} energy at a stated efficiency of 0.88"
    assert found.estimated
    assert without.estimated


def test_the_efficiency_is_not_applied_to_what_was_measured_at_the_wall() -> None:
    assert cost(speed(10), energy(4.0), Tariff(0.30, efficiency=0.88)) == cost(speed(10), energy(4.0), TARIFF)


def test_a_model_of_the_power_is_never_called_a_measurement() -> None:
    at_wall = cost(speed(10), energy(4.0, estimated=True), TARIFF)
    assert (at_wall.estimated, at_wall.basis) == (True, "estimated at the wall")
    inside = cost(speed(10), energy(4.0, scope="board", estimated=True), Tariff(0.30, efficiency=0.9))
    assert (inside.estimated, inside.basis) == (True, "from estimated board energy at a stated efficiency of 0.9")


def test_the_hardware_is_a_line_of_its_own_and_needs_no_energy() -> None:
    tariff = Tariff(0.30, device_price=80.0, life_h=26_280, utilization=0.5)
    missing = Energy("tg128", "wall", "meter", False, True, 1280, 1.0, missing="31 s is too short for this meter")
    for seen, basis in ((None, "energy was not measured"), (missing, "31 s is too short for this meter")):
        found = cost(speed(5), seen, tariff)
        assert (found.energy_per_mtok, found.basis, found.estimated) == (None, basis, False)
        # 26 280 h at half load and 5 t/s are 236.52 million tokens.
        assert found.hardware_per_mtok == pytest.approx(80 / 236.52)
    assert cost(speed(5), None, Tariff(0.30, device_price=80.0)).hardware_per_mtok is None
