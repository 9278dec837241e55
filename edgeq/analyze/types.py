"""What each weight type costs on a device, from its passes and the traces beside them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from edgeq import stats
from edgeq.analyze.clocks import on_host_clock
from edgeq.analyze.energy import energies
from edgeq.records import Energy, Estimate, Note, TypeSpeed, TypeSpeeds, TypesRecord, WeightType

_REFERENCE = "Q8_0"


def type_speeds(record: TypesRecord) -> TypeSpeeds:
    """Weights per second and energy per weight of each type, the fastest first.

    Passes of one turn share what the machine did then, so a turn counts once: by the mean of its passes.
    """
    traces, notes = on_host_clock(record)
    found, said = energies(record, traces)
    headlines = {e.test: e for e in found if e.headline}
    speeds = sorted(
        ((t.name, _speed(record, t, headlines.get(t.name))) for t in record.types),
        key=lambda named: -named[1].weights_per_s.value,
    )
    reference = dict(speeds).get(_REFERENCE)
    lacking = [e for e in headlines.values() or found if e.missing]
    return TypeSpeeds(
        profile=record.profile.name,
        processor=record.host.cpu if record.settings.device == "cpu" else ", ".join(record.host.gpu) or "the GPU",
        device=record.settings.device,
        n_threads=record.settings.n_threads,
        types={name: _against(speed, reference) for name, speed in speeds},
        scope=next((e.scope for e in headlines.values()), ""),
        notes=(*record.left_out, *record.missing, *notes, *said, *_no_energy(lacking)),
    )


def _no_energy(lacking: Sequence[Energy]) -> list[Note]:
    """One note for all types, as the reason is mostly the same."""
    if not lacking:
        return []
    names = ", ".join(dict.fromkeys(e.test for e in lacking))
    return [Note("no-energy", f"The energy of {names} is not known. {lacking[0].missing}")]


def _speed(record: TypesRecord, kind: WeightType, energy: Energy | None) -> TypeSpeed:
    n_weights = kind.n_matrices * record.settings.n_rows * record.settings.n_columns
    found = stats.repetitions(n_weights, _turns_s(record, kind.name))
    bpw = kind.row_bytes * 8 / record.settings.n_columns
    return TypeSpeed(
        bpw=bpw,
        weights_per_s=found.tps,
        gb_s=found.tps.value * bpw / 8e9,
        memory=kind.memory,
        j_per_gweight=_per_gweight(energy.gross_j_per_token if energy else None, n_weights),
        state=found.state,
    )


def _turns_s(record: TypesRecord, name: str) -> stats.F64:
    """Mean seconds of a pass, for each of the type's turns."""
    turns: list[list[float]] = []
    for p in record.phases:
        if p.test == name and p.kind == "load":
            turns.append([])
        elif p.test == name and p.timed:
            turns[-1].append((p.t1_ns - p.t0_ns) / 1e9)
    return np.array([np.mean(t) for t in turns])


def _per_gweight(joules: Estimate | None, n_weights: int) -> Estimate | None:
    if joules is None:
        return None
    factor = 1e9 / n_weights
    return Estimate(joules.value * factor, None if joules.se is None else joules.se * factor)


def _against(speed: TypeSpeed, reference: TypeSpeed | None) -> TypeSpeed:
    if reference is None:
        return speed
    return msgspec.structs.replace(speed, of_q8_0=speed.weights_per_s.value / reference.weights_per_s.value)
