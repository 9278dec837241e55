"""From probes to the damage of every tensor in every type.

damage(tensor, type) = damage(tensor, probed type) * error(tensor, type) / error(tensor, probed type) * constant(type):
what a tensor is worth is measured, how types compare on it is computed, and how far types of equal error differ is
measured once for each type, on a third of the blocks.
"""

from __future__ import annotations

from collections.abc import Mapping

from edgeq.allocate.names import block
from edgeq.records import Sensitivities, Trial

Damage = dict[str, dict[str, float]]

# Of the mean over all probes: nothing is taken to be harmless because noise says so.
_LEAST_SHARE = 1e-3


def damages(found: Sensitivities, *, folded: bool = False) -> Damage:
    """{tensor: {type: KLD in nats}}, as if damages added up. ``folded``: by the errors after folding."""
    single = {name: t for t in found.probes for name in t.types if len(t.types) == 1 and block(name) < 0}
    of_tensor = _shared(found)
    known = {t: _constant(t, found, of_tensor) for t in found.types}
    errors = found.folded if folded and found.folded else found.errors
    table: Damage = {}
    for name, of_type in errors.items():
        if name in single:  # measured in every type
            measured = {next(iter(t.types.values())): t for t in found.probes if set(t.types) == {name}}
            table[name] = {k: max(measured[k].mean_kld - found.floor, 0.0) for k in of_type if k in measured}
        elif name in of_tensor:
            kind, damage = of_tensor[name]
            before = found.errors[name][kind]
            table[name] = {k: damage * (e / before if before else 0.0) * known.get(k, 1.0) for k, e in of_type.items()}
    return table


def _shared(found: Sensitivities) -> dict[str, tuple[str, float]]:
    """{tensor: (the type it was probed in, its damage)}: a segment's, by how much each tensor of it loses."""
    probes = [t for t in found.probes if all(block(name) >= 0 for name in t.types)]
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
