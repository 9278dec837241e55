"""From probes to the damage of every tensor in every type.

damage(tensor, type) = damage(tensor, probed type) * error(tensor, type) / error(tensor, probed type) * constant(type):
what a tensor is worth is measured, how types compare on it is computed, and how far types of equal error differ is
measured once for each type, on a third of the blocks.
"""

from __future__ import annotations

from collections.abc import Mapping

from edgeq.allocate.names import OUTSIDE, block
from edgeq.records import Sensitivities, Trial

Damage = dict[str, dict[str, float]]

# Of the mean over all probes: nothing is taken to be harmless because noise says so.
_LEAST_SHARE = 1e-3


def damages(found: Sensitivities, *, folded: bool = False) -> Damage:
    """{tensor: {type: KLD in nats}}, as if damages added up. ``folded``: by the errors after folding."""
    of_tensor = _shared(found)
    kinds = {kind for of_type in found.errors.values() for kind in of_type}
    constants = {kind: _constant(kind, found, of_tensor) for kind in kinds}
    errors = found.folded if folded and found.folded else found.errors
    table = _outside(found)
    for name, (probed, damage) in of_tensor.items():
        before = found.errors[name][probed]
        each = damage / before if before else 0.0
        table[name] = {kind: each * error * constants[kind] for kind, error in errors[name].items()}
    return table


def _outside(found: Sensitivities) -> Damage:
    """Of what lies outside of the blocks, as it was measured in every type."""
    table: Damage = {}
    for trial in found.probes:
        for name, kind in trial.types.items():
            if block(name) == OUTSIDE:
                table.setdefault(name, {})[kind] = max(trial.mean_kld - found.floor, 0.0)
    return table


def _shared(found: Sensitivities) -> dict[str, tuple[str, float]]:
    """{tensor: (the type it was probed in, its damage)}: a segment's, by how much each tensor of it loses."""
    probes = [t for t in found.probes if all(block(name) != OUTSIDE for name in t.types)]
    least = _LEAST_SHARE * sum(t.mean_kld for t in probes) / max(1, sum(len(t.types) for t in probes))
    shared = {}
    for trial in probes:
        damage = max(trial.mean_kld - found.floor, least * len(trial.types))
        lost = {name: found.errors[name][kind] for name, kind in trial.types.items()}
        total = sum(lost.values())
        for name, kind in trial.types.items():
            share = lost[name] / total if total else 1 / len(lost)
            shared[name] = kind, damage * share
    return shared


def _constant(kind: str, found: Sensitivities, of_tensor: Mapping[str, tuple[str, float]]) -> float:
    """What the type costs, over what its error says that it costs."""
    trial: Trial | None = next((t for t in found.whole if kind in t.types.values()), None)
    if trial is None:
        return 1.0
    expected = 0.0
    for name, as_type in trial.types.items():
        if name in of_tensor:
            probed, damage = of_tensor[name]
            before = found.errors[name][probed]
            expected += damage * found.errors[name][as_type] / before if before else 0.0
    measured = trial.mean_kld - found.floor
    return measured / expected if expected > 0 and measured > 0 else 1.0
