"""Sensors that fail in the middle: the windows concerned have no energy and a reason; everything else is there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgeq import analyze
from edgeq.records import Energy, Row
from tests import replay
from tests.sysroots import jetson, memory, x86
from tests.sysroots.machine import DECODE_S, PREFILL_S, Machine

IN_PREFILL = PREFILL_S + 60.0


def spoil(machine: Machine, name: str, change: Callable[[float, Any], Any]) -> None:
    """Let ``change(t, content)`` decide what the live files of this name say."""
    found = [p for p in machine.live if p.name == name]
    assert found
    for path in found:
        content = machine.live[path]
        machine.live[path] = lambda t, content=content: change(t, content(t))


def headline(row: Row, test: str) -> Energy:
    return next(e for e in row.energies if e.test == test and e.scope in ("module", "board"))


def measured(machine: Machine, **access: Any) -> Row:
    (row,) = analyze.summarize([replay.bench(machine, **access)], []).rows
    assert len(row.speeds) == 2  # whatever happens to a sensor, the speeds are there
    assert all(s.tps.value > 0 for s in row.speeds)
    return row


def gone(begin_s: float, end_s: float = float("inf")) -> Callable[[float, Any], Any]:
    def change(t: float, content: Any) -> Any:
        if begin_s <= t < end_s:
            raise OSError(19, "No such device")
        return content

    return change


def test_a_sensor_that_vanishes_takes_the_energy_of_what_follows_with_it(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    jetson.orin_nano(machine)
    spoil(machine, "curr1_input", gone(DECODE_S + 60))
    row = measured(machine)
    assert headline(row, "pp512").gross_j_per_token
    lost = headline(row, "tg128")
    assert lost.gross_j_per_token is None and lost.net_j_per_token is None
    assert "No such device" in lost.missing
    assert row.throttling and row.throttling.verdict == "none"


def test_a_gap_spoils_only_the_windows_that_it_touches(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    jetson.orin_nano(machine)
    spoil(machine, "curr1_input", gone(IN_PREFILL, IN_PREFILL + 20))
    row = measured(machine)
    assert headline(row, "pp512").gross_j_per_token is None
    assert headline(row, "pp512").missing
    assert headline(row, "tg128").gross_j_per_token
    assert headline(row, "tg128").net_j_per_token


@pytest.mark.parametrize("content", ["", "garbage\n", "nan\n"])
def test_what_is_no_number_is_no_reading_and_never_a_zero(content: str, tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    x86.intel_client(machine)
    spoil(machine, "energy_uj", lambda t, true: content if IN_PREFILL <= t < IN_PREFILL + 20 else true)
    row = measured(machine)
    # A counter loses nothing in a gap that lies within the window.
    for test, state, n_tokens in (("pp512", "prefill", 512), ("tg128", "decode", 128)):
        energy = headline(row, test).gross_j_per_token
        assert energy and energy.value == pytest.approx(x86.INTEL["board"][state] * 15 / n_tokens, rel=0.001)


def test_a_counter_that_was_reset_is_no_wrap(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    x86.intel_client(machine)
    spoil(machine, "energy_uj", lambda t, true: f"{int((t - IN_PREFILL) * 1e6)}\n" if t >= IN_PREFILL else true)
    row = measured(machine)
    assert headline(row, "pp512").gross_j_per_token is None
    assert "reset" in headline(row, "pp512").missing
    assert headline(row, "tg128").mean_w


def test_a_suspend_spoils_the_window_that_it_is_in(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    jetson.orin_nano(machine)
    memory.bare(machine)
    slept = lambda: 10**12 if machine.t_s >= IN_PREFILL else 0  # noqa: E731
    row = measured(machine, suspended=slept)
    assert headline(row, "pp512").gross_j_per_token is None
    assert "suspended" in headline(row, "pp512").missing
    assert row.memory and row.memory.available_drop_bytes is not None
    assert row.temperature_max_c == pytest.approx(63.6, abs=0.1)
    assert headline(row, "tg128").gross_j_per_token


def test_permission_that_is_taken_away_in_the_middle_is_named(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    x86.intel_client(machine)

    def change(t: float, content: Any) -> Any:
        if t >= DECODE_S + 60:
            raise PermissionError(13, "Permission denied")
        return content

    spoil(machine, "energy_uj", change)
    row = measured(machine)
    assert headline(row, "pp512").gross_j_per_token
    assert headline(row, "tg128").gross_j_per_token is None
    assert "Permission denied" in headline(row, "tg128").missing
