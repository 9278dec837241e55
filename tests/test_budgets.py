"""Files for a budget, from the command to llama-quantize: sizes, verdicts, recipes, what is refused and resumed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from edgeq import allocate, analyze, cli, fit, gguf_info, models, profiles, store
from edgeq.allocate.candidates import candidates
from edgeq.allocate.damage import damages
from edgeq.allocate.names import block, segment
from edgeq.errors import InputError
from edgeq.pipeline import budgets
from edgeq.records import Build, EvalRecord, Front, FrontPlan, Gguf, Sensitivities
from edgeq.report import budgets_html

from .conftest import CALIBRATION, EVALUATION, MODEL

TARGETS = (3.0, 3.5, 4.5)
TEXTS = ("--text", str(EVALUATION), "--calibration-text", str(CALIBRATION))
OPTIONS = (*TEXTS, "--chunks", "4", "--candidates", "K,IQ4_XS")


def edgeq(*argv: object) -> Result:
    return CliRunner().invoke(cli.cli, [str(a) for a in argv])


@pytest.fixture(scope="module")
def out(built: Build, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three targets on the small model, each with a sibling that has its scales folded in."""
    folder = tmp_path_factory.mktemp("front")
    asked = ("--target-bpw", ",".join(map(str, TARGETS)), "--fold", "--out", folder)
    done = edgeq("quantize", MODEL, *OPTIONS, *asked)
    assert done.exit_code == 0, done.output
    return folder


@pytest.fixture(scope="module")
def front(out: Path) -> Front:
    return store.load(out / "front.json", Front)


@pytest.fixture(scope="module")
def found(out: Path) -> Sensitivities:
    (path,) = (out / "records").glob("sensitivities-*.json.gz")
    return store.load(path, Sensitivities)


def test_files_use_their_budget_and_no_more(front: Front, out: Path) -> None:
    for a in front.allocations:
        n_bytes = (out / f"{a.recipe.name}.gguf").stat().st_size
        assert 0.995 * a.max_bytes <= n_bytes <= a.max_bytes
        assert n_bytes <= a.n_bytes + 4096  # metadata


def test_mixes_beat_stock_types_that_are_no_smaller(front: Front) -> None:
    mixes = [r for r in front.rows if r.kind == "mix"]
    assert len(mixes) == 2 * len(TARGETS)
    for row in mixes:
        for figure in row.against.values():
            assert figure.ci95 and figure.ci95[1] < 1
    assert {r.verdict for r in mixes} <= {"better", "no stock"}
    # More bytes, less damage; and what is predicted is of the measured order.
    for siblings in ([r for r in mixes if not r.folded], [r for r in mixes if r.folded]):
        klds = [r.quality[EVALUATION.name].kld.value for r in siblings]  # type: ignore[union-attr]
        assert klds == sorted(klds, reverse=True)
        for row, kld in zip(siblings, klds, strict=True):
            assert row.predicted_kld and 0.3 < row.predicted_kld / kld < 3


def test_recipes_give_llama_quantize_the_same_file(front: Front, out: Path, built: Build, tmp_path: Path) -> None:
    a = next(a for a in front.allocations if not a.recipe.options)
    theirs = tmp_path / "theirs.gguf"
    argv = [built.tool("quantize"), "--imatrix", out / "imatrix.gguf", "--tensor-type-file"]
    argv += [out / f"{a.recipe.name}.types.txt", MODEL, theirs, a.recipe.file_type, "2"]
    subprocess.run(argv, check=True, capture_output=True)
    ours = out / f"{a.recipe.name}.gguf"
    mine, other = (gguf_info.read_header(p).tensors for p in (ours, theirs))
    assert [(t.name, t.type, t.shape) for t in mine] == [(t.name, t.type, t.shape) for t in other]
    assert {t.name: t.type for t in mine if t.name in a.types} == a.types
    one, two = ours.read_bytes(), theirs.read_bytes()
    for x, y in zip(mine, other, strict=True):
        assert one[x.offset : x.offset + x.n_bytes] == two[y.offset : y.offset + y.n_bytes]


def test_the_page_holds_the_front_and_a_plot_of_it(front: Front, out: Path) -> None:
    page = (out / "front.html").read_text()
    assert page == budgets_html(front)
    for row in front.rows:
        assert row.name in page
    assert "data-plot" in page


def test_a_second_run_measures_nothing_again(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (out / "front.json").read_bytes()
    monkeypatch.setattr("edgeq.programs.native", None)
    asked = ("--target-bpw", ",".join(map(str, TARGETS)), "--fold", "--out", out)
    done = edgeq("quantize", MODEL, *OPTIONS, *asked)
    assert done.exit_code == 0, done.output
    assert (out / "front.json").read_bytes() == before


def test_a_dry_run_encodes_nothing(out: Path) -> None:
    before = sorted(out.iterdir())
    done = edgeq("quantize", MODEL, *OPTIONS, "--target-bpw", "3.1,5", "--fold", "--dry-run", "--json", "--out", out)
    assert done.exit_code == 0, done.output
    allocations = json.loads(done.stdout)
    assert [a["target"] for a in allocations] == ["3.1bpw", "5bpw"] * 2
    assert all(a["predicted_kld"] > 0 for a in allocations)
    new = {p.name for p in out.iterdir()} - {p.name for p in before}
    assert new == {f"{n}.types.txt" for n in ("3.1bpw", "5bpw", "3.1bpw-fold", "5bpw-fold")}


def test_damage_falls_with_bits_and_is_measured_outside_of_the_blocks(found: Sensitivities) -> None:
    table = damages(found)
    assert set(table) == set(found.errors)
    for of_type in table.values():
        assert of_type["Q2_K"] > of_type["Q4_K"] > of_type["Q6_K"] >= 0
    embedding = {t.types["token_embd.weight"]: t.mean_kld for t in found.probes if "token_embd.weight" in t.types}
    assert table["token_embd.weight"] == {k: v - found.floor for k, v in embedding.items()}


def test_segments_cover_every_tensor_once() -> None:
    for n_blocks in (1, 2, 5, 6, 30):
        names = [f"blk.{i}.ffn_up.weight" for i in range(n_blocks)]
        depths = [segment(n, n_blocks)[1] for n in names]
        assert depths == sorted(depths) and set(depths) <= set(range(6))
    assert block("output.weight") == -1


def test_segments_are_probed_with_floors(out: Path, built: Build, model: Gguf) -> None:
    plan = FrontPlan(
        model=str(MODEL),
        target_bpw=(4.0,),
        text=(str(EVALUATION),),
        calibration_text=(str(CALIBRATION),),
        candidates=("K",),
        probe="segment",
        n_threads=2,
    )

    class Quiet:
        def __enter__(self) -> object:
            return lambda *_: None

        def __exit__(self, *_: object) -> None:
            pass

    found = budgets.search(plan, model, out, lambda _: Quiet())  # type: ignore[arg-type,return-value]
    (a,) = found.allocations
    nearest = min(found.solver.stock, key=lambda b: abs(b.n_bytes - a.max_bytes))
    assert len(found.solver.found.probes) < 60
    header = gguf_info.read_header(MODEL)
    of_tensor = candidates(header, a.types, found.solver.weighed, ("Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "Q8_0"))
    for name, kind in a.types.items():
        if block(name) >= 0 and nearest.types[name] in of_tensor[name].types:
            assert of_tensor[name].n_bytes(kind) >= of_tensor[name].n_bytes(nearest.types[name])


def test_where_no_mix_is_better_stock_is_given(front: Front, found: Sensitivities, out: Path) -> None:
    """The same records, with the stock files' and the mixes' exchanged: now the mixes are the worse ones."""
    evals = [store.load(p, EvalRecord) for p in (out / "records").glob("eval-*.json.gz")]
    files = {r.name: store.load(out / f"{r.name}.json", Gguf) for r in front.rows}
    a = front.allocations[1]
    mix, rival = (
        files[a.recipe.name],
        files[next(r.rivals[EVALUATION.name] for r in front.rows if r.name == a.recipe.name)],
    )
    swapped = [
        msgspec.structs.replace(e, model=rival if e.model.sha256 == mix.sha256 else mix)
        for e in evals
        if e.model.sha256 in (mix.sha256, rival.sha256)
    ]
    result = analyze.budget_front(found, [a], [mix], [rival], swapped)
    assert result.best == {a.target: rival.recipe.name}  # type: ignore[union-attr]
    assert next(r.verdict for r in result.rows if r.kind == "mix") == "worse"
    assert any(note.code == "no-gain" for note in result.warnings)


def refused(argv: Sequence[object], *said: str) -> None:
    done = edgeq("quantize", *argv)
    assert isinstance(done.exception, InputError), done.output
    for part in said:
        assert part in f"{done.exception.text} {done.exception.hint}"


def test_what_can_not_be_reached_says_the_range(out: Path) -> None:
    for target in ("1.2", "40"):
        refused([MODEL, *OPTIONS, "--target-bpw", target, "--out", out], "bpw is not within", "MiB")


def test_odd_options_are_refused(tmp_path: Path) -> None:
    for argv, said in (
        (["--target-bpw", "x"], "x is no number above 0"),
        (["--target-bpw", "3", "--recipes", "a"], "--recipes"),
    ):
        done = edgeq("quantize", MODEL, *argv, "--out", tmp_path)
        assert done.exit_code == 2
        assert said in done.output
    refused([MODEL, "--target-size", "many", *OPTIONS, "--out", tmp_path], "many is no size")
    refused([MODEL, "--target-bpw", "3", *TEXTS, "--candidates", "Q9_Z", "--out", tmp_path], "Q9_Z is no type")


def test_models_and_matrices_that_do_not_fit_are_refused(
    built: Build, model: Gguf, smollm2: Path, out: Path, tmp_path: Path
) -> None:
    refused([smollm2, "--target-bpw", "3", "--allow-requantize", *OPTIONS, "--out", tmp_path], "quantized before")
    short = tmp_path / "short.txt"
    short.write_text("Too little. " * 20)
    refused([MODEL, "--target-bpw", "3", "--text", short, "--out", tmp_path], "tokens")
    foreign = tmp_path / "foreign.gguf"
    foreign.write_bytes((out / "imatrix.gguf").read_bytes().replace(b"blk.0.", b"blk.9."))
    refused([MODEL, *OPTIONS, "--target-bpw", "4", "--imatrix", foreign, "--out", tmp_path], "is of another model")
    types = allocate.types_named(["IQ2_XXS"])
    header = gguf_info.read_header(MODEL)
    with pytest.raises(InputError, match="no weight matrices"):
        candidates(header, ["blk.0.attn_q.weight"], frozenset(), types)


def test_what_is_made_to_fit_a_board_fits(built: Build, model: Gguf, out: Path, tmp_path: Path) -> None:
    def board(gib: float) -> Path:
        path = tmp_path / "board.yaml"
        path.write_text(f"name: board\nlike: local\nmemory: {{gib: {gib}, system_gib: 0.01, gb_s: 10, source: none}}\n")
        return path

    whole = fit.fit(model, profiles.load(str(board(1.0))), built, n_ctx=256, n_threads=2)
    wanted = int(7 * model.n_params / 8)
    gib = (whole.needed_bytes - whole.weights_bytes + wanted) / 2**30 + 0.01
    options = (*TEXTS, "--chunks", "4", "--candidates", "K,IQ4_XS", "--threads", "2")
    done = edgeq("quantize", MODEL, *options, "--fit", board(gib), "--ctx", "256", "--json", "--out", out)
    assert done.exit_code == 0, done.output
    front = msgspec.json.decode(done.stdout.encode(), type=Front)
    (a,) = front.allocations
    # What else is in memory differs by about a MiB from one file, and from one run, to the next.
    most = wanted - budgets.FIT_SPARE_BYTES
    assert most - 1.5 * 2**20 < a.max_bytes <= most + 2**19
    assert front.best["board-256"] == "board-256"
    made = models.describe(out / "board-256.gguf")
    assert fit.fit(made, profiles.load(str(board(gib))), built, n_ctx=256, n_threads=2).margin_bytes >= 0
    (note,) = (n for n in front.warnings if n.code == "fit")
    assert note.text.startswith(("board-256 fits on board with 256", "board-256 is tight on board with 256"))


def test_a_time_budget_is_kept_and_costs_quality(found: Sensitivities) -> None:
    weighed = frozenset(n for n in found.errors if n.startswith("blk."))
    stock = [allocate.Base("Q4_K_M", 3_000_000, {})]
    # As on processors for which Q4_K is rearranged and Q3_K is not.
    speeds = {"Q2_K": 9e9, "Q3_K": 3e9, "Q4_K": 8e9, "Q5_K": 5e9, "Q6_K": 4e9, "Q8_0": 6e9, "IQ4_XS": 3e9}
    solver = allocate.Solver(found, weighed, stock, speeds=speeds, joules={k: 2 / v for k, v in speeds.items()})
    n_bytes = int(4.5 * found.model.n_params / 8)
    free = solver.solve(allocate.Target("free", n_bytes))
    assert free.decode_s and free.decode_j
    assert free.decode_j == pytest.approx(2 * free.decode_s)
    hurried = solver.solve(allocate.Target("hurried", n_bytes, 0.85 * free.decode_s))
    assert hurried.decode_s and hurried.decode_s <= 0.85 * free.decode_s
    assert free.predicted_kld < hurried.predicted_kld < 3 * free.predicted_kld
    with pytest.raises(InputError, match="No types of these reach"):
        solver.solve(allocate.Target("never", n_bytes, free.decode_s / 100))
