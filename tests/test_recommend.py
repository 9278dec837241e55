"""Which file to ship: the answer can be followed by hand, and no row, order or price can make it break its promises."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

from edgeq import store
from edgeq.analyze.advice import recommend
from edgeq.analyze.advice.limits import BOARD_MEMORY
from edgeq.analyze.fronts import front
from edgeq.cli import cli
from edgeq.records import BenchRecord, BenchTest, Energy, Estimate, Host, Phase, Quality, Row, Speed, Tariff
from edgeq.records.advice import Advice, Answer, Board, Wanted
from tests.test_analyze import bench_of, file, scored

MIB = 2**20
GIB = 2**30
HARDWARE = Tariff(0.30, device_price=80.0, life_h=3 * 8760.0)


def row(
    name: str,
    bpw: float,
    *,
    kld: Estimate | None = None,
    top1: float | None = None,
    tps: Estimate | None = None,
    j: Estimate | None = None,
    ram: int | None = None,
    device: str = "board",
    **more: object,
) -> Row:
    """A row of 1000 MiB at 8 bits per parameter. Energy is that at the wall."""
    ratio = None if kld is None else Estimate(1 + kld.value, 0.001)
    agreed = None if top1 is None else Estimate(top1, 0.002)
    quality = Quality(10_000, Estimate(20.0, 0.5), ratio, kld, top1=agreed)
    steady = tps is None or tps.se is not None
    speeds = () if tps is None else (Speed("tg128", 10, tps, state=() if steady else ("drifting",)),)
    energies = () if j is None else (Energy("tg128", "wall", "meter", False, True, 1280, 60.0, j),)
    found = Row(
        name=name, device=device, sha256=name, file_type=name, bpw=bpw, n_bytes=int(bpw * 125 * MIB), on_label=None,
        tensor_types={}, imatrix=True, reference=False, quality=quality if kld or top1 else None, speeds=speeds,
        rss_peak_bytes=ram, energies=energies,
    )  # fmt: skip
    return replace(found, **more)


def about(value: float, share: float = 0.01) -> Estimate:
    return Estimate(value, value * share)


# As on a small board: fewer bits are faster and worse, but for Q3, which is slower than Q4.
LADDER = (
    row("Q8", 8.5, kld=about(0.001), top1=0.985, tps=about(5.0), j=about(2.0), ram=1200 * MIB),
    row("Q5", 5.6, kld=about(0.01), top1=0.95, tps=about(7.0), j=about(1.5), ram=850 * MIB),
    row("Q4", 4.8, kld=about(0.03), top1=0.92, tps=about(9.0), j=about(1.1), ram=750 * MIB),
    row("IQ4", 4.3, kld=about(0.04), top1=0.91, tps=about(8.5), j=about(1.2), ram=690 * MIB),
    row("Q3", 3.9, kld=about(0.12), top1=0.85, tps=about(8.0), j=about(1.3), ram=640 * MIB),
    row("Q2", 3.0, kld=about(0.5), top1=0.70, tps=about(10.0), j=about(0.9), ram=520 * MIB),
)


def only(advice: Advice) -> Answer:
    (answer,) = advice.answers
    return answer


def label(answer: Answer) -> str | None:
    return answer.pick.label if answer.pick else None


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(), "Q4"),  # the best of at most 5 bits
        (Wanted(max_ram_bytes=700 * MIB), "IQ4"),  # Q4 does not fit
        (Wanted(min_tps=9.5), "Q2"),  # forced far down
        (Wanted(min_top1=0.93), "Q5"),  # forced up: the smallest above
        (Wanted(goal="quality"), "Q8"),
        (Wanted(goal="quality", max_ram_bytes=900 * MIB), "Q5"),
        (Wanted(goal="speed"), "Q2"),
        (Wanted(goal="speed", min_top1=0.9), "Q4"),
        (Wanted(goal="energy", max_kld=0.2), "Q4"),
        (Wanted(goal="cost", max_kld=0.1, tariff=Tariff(0.3)), "Q4"),
        (Wanted(goal="cost"), None),  # without a tariff no cost is known
        (Wanted(min_tps=20.0), None),
    ],
)
def test_what_wins(wanted: Wanted, expected: str | None) -> None:
    assert label(only(recommend(LADDER, wanted))) == expected


def test_going_lower_says_why_what_breaks_and_what_the_limit_costs() -> None:
    answer = only(recommend(LADDER, Wanted(max_ram_bytes=650 * MIB, min_tps=2.0)))
    assert label(answer) == "Q3"
    assert "Q4, where one would start, fails --max-ram." in answer.why
    assert {n.code for n in answer.broken} == {"top1-lost", "kld-high", "ppl-high"}
    ram, tps = answer.limit_costs
    assert ram.label == "Q4" and ram.there and (ram.there.pick, ram.there.other) == (0.12, 0.03) and ram.there.better
    assert tps.same and tps.label == "Q3"
    assert only(recommend(LADDER, Wanted())).broken == ()


def test_runners_up_are_better_there_and_worse_elsewhere() -> None:
    runners = {r.axis: r for r in only(recommend(LADDER, Wanted())).runners_up}
    assert {axis: r.label for axis, r in runners.items()} == {
        "quality": "Q8", "memory": "Q2", "speed": "Q2", "energy": "Q2",
    }  # fmt: skip
    there = runners["quality"].there
    assert there and there.better and there.apart and (there.pick, there.other) == (0.03, 0.001)
    assert {d.metric: d.better for d in runners["quality"].elsewhere} == {
        "RAM peak": False, "t/s": False, "J/token": False,
    }  # fmt: skip


def test_nothing_feasible_names_the_nearest_and_its_misses() -> None:
    answer = only(recommend(LADDER, Wanted(min_tps=10.0, min_top1=0.9)))
    assert answer.pick is None and answer.n_allowed == 0
    assert answer.nearest is not None
    # Q4: 10 % of the t/s. Q2: 22 % of the top-1. IQ4: 15 %.
    assert answer.nearest.choice.label == "Q4"
    assert answer.nearest.miss == pytest.approx(0.1)
    assert {c.option: c.miss for c in answer.nearest.checks} == {"--min-tps": pytest.approx(0.1), "--min-top1": 0.0}
    assert {c.option: c.label for c in answer.limit_costs} == {"--min-tps": "Q4", "--min-top1": "Q2"}


def test_what_was_not_measured_keeps_no_limit_and_wins_no_goal() -> None:
    rows = [replace(r, energies=()) for r in LADDER]
    for wanted in (Wanted(max_j_per_token=9.0), Wanted(goal="energy")):
        answer = only(recommend(rows, wanted))
        assert answer.pick is None
        assert any("J/token is not known of any file" in n.text and "edgeq bench" in n.hint for n in answer.notes)
    unscored = only(recommend([replace(r, quality=None) for r in LADDER], Wanted()))
    assert unscored.pick is None and "KLD is not known" in unscored.why
    some = only(recommend([*rows[:3], *LADDER[3:]], Wanted(max_j_per_token=9.0)))
    assert label(some) == "IQ4"
    assert any("Q4, Q5, Q8" in n.text for n in some.notes)


def test_one_row_and_none() -> None:
    answer = only(recommend(LADDER[2:3], Wanted(tariff=Tariff(0.3))))
    assert label(answer) == "Q4" and answer.runners_up == () and answer.alike == ()
    assert answer.tariff and (answer.tariff.low, answer.tariff.high) == (0.0, None)
    assert label(only(recommend(LADDER[:1], Wanted()))) == "Q8"
    assert recommend([], Wanted()).answers == ()


def test_files_that_nothing_tells_apart_are_named_and_the_smaller_wins() -> None:
    rows = [
        row("big", 4.9, kld=Estimate(0.030, 0.002), j=about(1.0)),
        row("small", 4.2, kld=Estimate(0.033, 0.002), j=about(2.0)),
        row("worse", 4.0, kld=Estimate(0.060, 0.002)),
    ]
    answer = only(recommend(rows, Wanted()))
    assert label(answer) == "small" and answer.alike == ("big",)
    assert "nothing tells it from big; it is the smallest of them" in answer.why
    same = [replace(rows[0], energies=rows[1].energies), replace(rows[0], build="k2")]
    assert "k2" in (label(only(recommend([replace(same[0], build="k1"), same[1]], Wanted()))) or "")


def test_an_unsteady_speed_neither_wins_nor_hides() -> None:
    rows = [row("fast", 4.0, tps=Estimate(20.0)), row("steady", 4.5, tps=about(10.0)), row("slow", 4.2, tps=about(5.0))]
    answer = only(recommend(rows, Wanted(goal="speed")))
    assert label(answer) == "steady" and answer.unsteady == ("fast",)
    assert "not steady: fast" in answer.why
    alone = only(recommend([rows[0], row("less", 3.0, tps=Estimate(19.0))], Wanted(goal="speed")))
    assert label(alone) == "fast" and "No file has a standard error" in alone.why


def test_a_state_outweighs_an_error_that_stands_beside_it() -> None:
    odd = Speed("tg128", 10, Estimate(20.0, 0.1), state=("bimodal",))
    rows = [replace(LADDER[0], speeds=(odd,)), LADDER[2]]
    assert label(only(recommend(rows, Wanted(goal="speed")))) == "Q4"


def test_two_devices_get_an_answer_each() -> None:
    fast = [replace(r, device="other", speeds=(Speed("tg128", 10, about(99.0)),)) for r in LADDER]
    aside = replace(LADDER[0], name="unmeasured", sha256="u", device="", speeds=(), quality=None)
    advice = recommend([*LADDER, *fast, aside], Wanted(min_tps=50.0))
    assert [(a.device, label(a)) for a in advice.answers] == [("board", None), ("other", "Q4")]
    assert {n.code for n in advice.notes} == {"several-devices", "not-benched"}


def test_mixed_builds_texts_and_scopes_are_said() -> None:
    chip = replace(LADDER[2].energies[0], scope="package")
    rows = [
        replace(LADDER[0], build="a", tokens_sha256="1"),
        replace(LADDER[1], build="b", tokens_sha256="2"),
        replace(LADDER[2], energies=(chip,)),
    ]
    answer = only(recommend(rows, Wanted(goal="energy")))
    assert {n.code for n in answer.notes} == {"mixed-builds", "mixed-evals", "mixed-scopes", "unknown-goal"}
    assert label(answer) == "Q5"  # Q4 has its energy at another scope


def test_for_a_board_only_quality_and_size_carry_over() -> None:
    board = Board("rpi", (), 700 * MIB)
    answer = only(recommend(LADDER, Wanted(board=board)))
    assert answer.device == "rpi" and label(answer) == "Q4"  # 600 MiB as a file; its 750 MiB of RAM is not the board's
    assert answer.pick and answer.pick.measured_on == "board" and answer.pick.rss_elsewhere_bytes == 750 * MIB
    assert answer.pick.figures.tps is None and answer.pick.figures.rss_peak_bytes is None
    assert answer.n_allowed == 5 and answer.checks[0].option == BOARD_MEMORY
    assert any(n.code == "from-elsewhere" for n in answer.notes)
    for wanted in (Wanted(board=board, min_tps=1.0), Wanted(board=board, max_ram_bytes=GIB)):
        assert only(recommend(LADDER, wanted)).pick is None


def test_a_board_that_was_measured_has_its_memory_as_the_limit() -> None:
    wanted = Wanted(board=Board("rpi", ("board",), 700 * MIB), min_tps=1.0)
    elsewhere = replace(LADDER[0], sha256="x", name="X", device="desk", bpw=4.0)
    answer = only(recommend([*LADDER, elsewhere], wanted))
    assert label(answer) == "IQ4"
    assert {c.option for c in answer.limit_costs} == {BOARD_MEMORY, "--min-tps"}
    assert any(n.code == "from-elsewhere" for n in answer.notes)
    assert label(only(recommend(LADDER, replace(wanted, max_ram_bytes=GIB)))) == "Q4"


def test_the_break_even_of_two_files_is_the_one_on_paper() -> None:
    # 80 over 3 years: 0.8456 / (t/s) per Mtok. Per price of a kWh: (J/token) / 3.6.
    quick = row("quick", 4.0, tps=Estimate(10.0, 0.0), j=Estimate(2.0, 0.0))
    frugal = row("frugal", 4.5, tps=Estimate(5.0, 0.0), j=Estimate(1.0, 0.0))
    share = 80 / (3 * 8760 * 3600) * 1e6
    even = (share / 5 - share / 10) / ((2 - 1) / 3.6)
    found = only(recommend([quick, frugal], Wanted(goal="cost", tariff=HARDWARE)))
    assert label(found) == "quick" and found.tariff
    assert found.tariff.high == pytest.approx(even, rel=1e-12) and found.tariff.low == 0.0
    assert (found.tariff.below, found.tariff.above) == (None, "frugal")
    for price, name in ((even * (1 - 1e-9), "quick"), (even * (1 + 1e-9), "frugal")):
        at = Wanted(goal="cost", tariff=replace(HARDWARE, per_kwh=price))
        assert label(only(recommend([quick, frugal], at))) == name


def test_the_error_of_the_hardware_is_that_of_the_speed() -> None:
    # 0.0846 and 0.0923 of hardware per Mtok differ by 8 %, and the speeds by as much with an error of 5 % each.
    files = [row(n, b, tps=about(v, 0.05), j=Estimate(0.01, 0.0)) for n, b, v in (("a", 4.5, 10.0), ("b", 4.0, 9.2))]
    answer = only(recommend(files, Wanted(goal="cost", tariff=HARDWARE)))
    assert label(answer) == "b" and answer.alike == ("a",)
    exact = [replace(r, speeds=(replace(r.speeds[0], tps=replace(r.speeds[0].tps, se=0.0)),)) for r in files]
    assert label(only(recommend(exact, Wanted(goal="cost", tariff=HARDWARE)))) == "a"


def test_a_cost_that_was_not_seen_at_the_wall_needs_an_efficiency_and_is_an_estimate() -> None:
    files = [replace(r, energies=(replace(r.energies[0], scope="package"),)) for r in LADDER]
    assert only(recommend(files, Wanted(goal="cost", tariff=Tariff(0.36)))).pick is None
    answer = only(recommend(files, Wanted(goal="cost", max_kld=0.1, tariff=Tariff(0.36, efficiency=0.5))))
    assert answer.pick and answer.pick.figures.cost_estimated and answer.pick.figures.scope == "package"
    assert answer.pick.figures.cost_per_mtok and answer.pick.figures.cost_per_mtok.value == pytest.approx(0.22)


def test_a_front_keeps_what_the_errors_do_not_decide() -> None:
    exact, unsure = Estimate(1.0, 0.0), Estimate(1.1, 0.2)
    points = [(exact, exact), (Estimate(1.0, 0.0), unsure), (Estimate(2.0, 0.0), exact), (exact, Estimate(9.0))]
    found = front([*points, (exact, None)], [True, True])
    assert found.members == (0, 1, 3) and found.unknown == (4,)
    assert found.groups == ((0, 1, 3),)
    assert front([], [True]) == ((), (), ())


# The command, on folders as `edgeq run` leaves them.
PI = Host("Cortex-A76", "aarch64", 4, 4, (), (), "os", "6.6", 8 * GIB - 300 * MIB, None, "3.11", board="Raspberry Pi 5")


def benched(name: str, n_bytes: int, decode_s: float, ram: int, host: Host) -> BenchRecord:
    model = file(name, n_bytes)
    phases = tuple(
        Phase("decode", "tg128", i, 128, i * 10**10, i * 10**10 + round(decode_s * (1 + 0.001 * (-1) ** i) * 1e9))
        for i in range(10)
    )
    return replace(bench_of(model, phases, BenchTest(0, 128)), host=host, rss_peak_bytes=ram)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Three files, measured on a Raspberry Pi 5."""
    reference = file("F16", 2000)
    records = store.make_folder(tmp_path / "run" / "records")
    for name, n_bytes, kld, seconds in (
        ("Q8_0", 1060, 0.001, 25.6),
        ("Q4_K_M", 600, 0.03, 16.0),
        ("Q2_K", 400, 0.5, 12.8),
    ):
        bench = benched(name, n_bytes, seconds, n_bytes * 3 * MIB, PI)
        noisy = kld * (1 + 0.1 * np.resize([1.0, -1.0], 4000))
        store.save(records / f"bench-{name}.json.gz", bench, name)
        found = scored(bench.model, np.ones(4000), noisy, reference)
        store.save(records / f"eval-{name}.json.gz", found, name)
    return tmp_path / "run"


def asked(run: Path, *options: str) -> Result:
    return CliRunner().invoke(cli, ["recommend", str(run), *options], catch_exceptions=False)


def test_the_command_prints_the_answer_within_80_columns(run: Path) -> None:
    done = asked(run, "--device", "rpi5-8gb", "--min-tps", "6", "--max-ram", "6GiB", "--kwh", "0.3")
    assert done.exit_code == 0, done.output
    assert max(map(len, done.output.splitlines())) <= 80
    flat = " ".join(done.output.split())
    for words in (
        "ship Q4_K_M",
        "8.000 ±0.003 t/s",
        "KV cache f16/f16",
        "--max-ram 6.00 GiB: costs nothing",
        "- J/token",
    ):
        assert words in flat, done.output


def test_the_command_says_what_is_nearest_with_status_3(run: Path) -> None:
    done = asked(run, "--min-tps", "12")
    assert done.exit_code == 3
    assert "Nearest: Q2_K" in done.output and "misses by 16.7% of it" in done.output
    assert asked(run, "--goal", "energy").exit_code == 3


def test_the_command_knows_whether_it_was_this_board(run: Path) -> None:
    printed = asked(run, "--device", "rpi5-8gb", "--json")
    answer = json.loads(printed.output)["answers"][0]
    assert answer["pick"]["figures"]["tps"] and answer["checks"][0]["limit"] == 7.5 * GIB
    other = asked(run, "--device", "rpi5-4gb", "--json")
    answer = json.loads(other.output)["answers"][0]
    assert answer["device"] == "rpi5-4gb" and answer["pick"]["measured_on"] == "Cortex-A76, Raspberry Pi 5"
    assert answer["pick"]["figures"]["tps"] is None


@pytest.mark.parametrize(
    ("options", "status"),
    [
        (["--max-ram", "6"], 2),
        (["--max-ram", "0GiB"], 2),
        (["--life", "soon"], 2),
        (["--device-price", "80", "--kwh", "0.3"], 2),
        (["--goal", "cost"], 2),
        (["--min-top1", "93"], 2),
        (["--max-ram", "6GB", "--kwh", "0.3", "--device-price", "80", "--life", "3y"], 0),
        (["--max-ram", "512MiB", "--life", "26280", "--kwh", "0", "--device-price", "80"], 3),
    ],
)
def test_options(run: Path, options: list[str], status: int) -> None:
    assert asked(run, *options).exit_code == status
