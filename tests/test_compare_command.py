"""edgeq compare: limits, exit codes, and what is printed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner, Result

from edgeq import store
from edgeq.analyze.compare import check, compare, parse_limit
from edgeq.cli import cli
from edgeq.errors import InputError
from edgeq.records import BenchRecord, EvalRecord
from edgeq.records.compare import ComparisonReport
from tests.test_analyze import file
from tests.test_compare import STEADY, bench, metered, qualities, side, the


def checked(report: ComparisonReport, quantity: Any, limit: str) -> tuple[str, str]:
    (result,) = check(report, [parse_limit(quantity, limit)]).checks
    return result.verdict, result.text


def test_a_limit_is_broken_where_the_whole_interval_lies_beyond_it() -> None:
    base = bench(file("Q4_K_M"), STEADY)
    report = compare(side(base), side(bench(file("Q4_K_M"), STEADY / 0.93)))
    assert the(report, "tps").verdict == "worse"
    assert checked(report, "tps", "-3%") == ("failed", "Q4_K_M tg16")
    verdict, text = checked(report, "tps", "-6%")
    assert verdict == "passed" and "too wide to exclude it: Q4_K_M tg16" in text
    assert checked(report, "tps", "-20%") == ("passed", "")
    assert checked(report, "kld", "+5%") == ("not comparable", "not measured on both sides")
    quality = compare(side(qualities(40)), side(qualities(40, 1.1, 0.02, 0.7)))
    assert checked(quality, "kld", "+5%")[0] == "failed" and checked(quality, "kld", "+15%")[0] == "passed"
    assert checked(quality, "top1", "-5pp")[0] == "failed" and checked(quality, "top1", "-40pp")[0] == "passed"
    better = compare(side(bench(file("Q4_K_M"), STEADY / 0.93)), side(base))
    assert checked(better, "tps", "-0%") == ("passed", "")


@pytest.mark.parametrize("text", ["3%", "-3", "", "-x%", "+3%", "-3pp", "--3%", "-1e9%", "-3 %%"])
def test_a_limit_that_can_not_be_meant_is_refused_with_how_to_write_it(text: str) -> None:
    with pytest.raises(InputError) as e:
        parse_limit("tps", text)
    assert e.value.hint.startswith("Write tps:-3%") or text.startswith("-")


def run(*argv: object) -> Result:
    return CliRunner().invoke(cli, ["compare", *map(str, argv)])


def written(folder: Path, records: Sequence[BenchRecord | EvalRecord]) -> Path:
    for i, r in enumerate(records):
        kind = "bench" if isinstance(r, BenchRecord) else "eval"
        store.save(folder / f"{kind}-{i}.json.gz", r, "k")
    return folder


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """A folder of records and a run folder, which is 10 % slower and 10 % farther from the reference."""
    a, b = store.make_folder(tmp_path / "a"), store.make_folder(tmp_path / "b" / "records")
    written(a, [bench(file("Q4_K_M"), STEADY, rss_peak_bytes=2**20), qualities(40)])
    written(b, [bench(file("Q4_K_M"), STEADY * 1.1, rss_peak_bytes=2**20), qualities(40, 1.1)])
    return a, b.parent


def test_the_table_fits_80_columns_and_has_units(folders: tuple[Path, Path]) -> None:
    done = run(*folders)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("tg16 t/s") and "-9.1 % (-11.6 to -6.5)" in line and "worse" in line for line in lines)
    assert any(line.startswith("KLD nats") and "+10.00 %" in line for line in lines)
    assert any(line.startswith("peak RSS MiB") and "1.000" in line and "indistinguishable" in line for line in lines)
    assert any("the same thing measured again" in line for line in lines)
    assert "Note: What two runs of one thing differ by" in done.stdout


def test_single_records_are_compared_whatever_they_are_called(folders: tuple[Path, Path]) -> None:
    a, b = folders
    done = run(a / "eval-1.json.gz", b / "records" / "eval-1.json.gz", "--json")
    report = msgspec.json.decode(done.stdout, type=ComparisonReport)
    assert [c.quantity for c in report.pairs[0].changes] == ["kld", "top1", "ppl"]


def test_the_gate_decides_the_exit_status(folders: tuple[Path, Path]) -> None:
    fine = run(*folders, "--fail-on", "tps:-30%, ram:+5%")
    assert fine.exit_code == 0 and "Gate tps:-30%: passed" in fine.stdout
    broken = run(*folders, "--fail-on", "tps:-3%,kld:+50%")
    assert broken.exit_code == 1 and not isinstance(broken.exception, InputError)
    assert "Gate tps:-3%: FAILED (Q4_K_M tg16)" in broken.stdout and "Gate kld:+50%: passed" in broken.stdout
    unknown = run(*folders, "--fail-on", "j_per_token:+5%,kld:+50%")
    assert isinstance(unknown.exception, InputError) and unknown.exception.exit_code == 3
    assert "j_per_token:+5%" in unknown.exception.text
    assert "could not be decided (not measured on both sides)" in unknown.stdout
    both = run(*folders, "--fail-on", "j_per_token:+5%,kld:+1%", "--json")
    assert both.exit_code == 1
    assert [c["verdict"] for c in json.loads(both.stdout)["checks"]] == ["not comparable", "failed"]


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ("tsp:-3%", "Did you mean tps?"),
        ("speed:-3%", "Valid are"),
        ("tps", "Write tps:-3%."),
        ("kld:5%", "Write kld:+3%."),
        ("tps:+3%", "Write tps:-3%."),
        ("top1:-1%", "Write top1:-1pp."),
        (" , ", "no limit"),
    ],
)
def test_a_limit_that_is_no_limit_is_a_usage_error(folders: tuple[Path, Path], limits: str, said: str) -> None:
    done = run(*folders, "--fail-on", limits)
    assert done.exit_code == 2 and said in done.output


def test_reasons_are_printed_below(tmp_path: Path) -> None:
    a, b = (store.make_folder(tmp_path / name) for name in "ab")
    more = [bench(file("Q8_0"), STEADY), bench(file("Q2_K"), STEADY)]
    written(a, [bench(file("Q4_K_M"), STEADY), qualities(5), *more])
    drifting = bench(file("Q4_K_M"), np.linspace(1, 1.3, 10))
    written(b, [drifting, qualities(5, tokens_sha256="other"), more[0]])
    done = run(a, b, "--fail-on", "tps:-3%")
    said = " ".join(done.stdout.split())
    assert "Not comparable: Q4_K_M tg16 t/s: B drifting." in said
    assert "Not comparable: Q4_K_M KLD nats, top-1 %, PPL: other text: text (160 tokens, tokens) and" in said
    assert "Without a partner: A: Q2_K." in said
    assert isinstance(done.exception, InputError)
    assert "Gate tps:-3%: could not be decided (Q4_K_M tg16)" in said


def test_an_estimate_is_marked(tmp_path: Path) -> None:
    for name in "ab":
        written(store.make_folder(tmp_path / name), [metered(5.0, estimated=True)])
    said = run(tmp_path / "a", tmp_path / "b").stdout
    line = next(line for line in said.splitlines() if line.startswith("tg16 J/token"))
    assert line.count("≈") == 2 and "(board)" in said and "marks an estimate" in said


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    assert isinstance(run(tmp_path / "none", tmp_path).exception, InputError)
    assert isinstance(run(tmp_path, tmp_path).exception, InputError)
