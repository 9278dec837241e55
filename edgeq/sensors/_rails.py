"""Which supply rails of a board add up to what, known by their labels.

Of the rails that lie behind one another only the outermost count. What is not in the table has no total: a rail that
nobody has described may be contained in another one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from edgeq.records import Scope

# A Jetson module's own rails: what is beside them on the input is the module's input, not the board's.
_OF_A_MODULE = frozenset(
    {"VDD_CPU_GPU_CV", "VDD_CPU_GPU", "VDD_CPU", "VDD_GPU", "VDD_SOC", "VDD_SYS_CPU", "VDD_SYS_GPU", "VDD_SYS_SOC"}
)


class _Total(NamedTuple):
    scope: Scope
    rails: frozenset[str]
    beside: frozenset[str] = frozenset()


# Sources: NVIDIA's Jetson Linux developer guides, device trees and forum. The first that fits at each scope holds.
_TOTALS = (
    # AGX Thor's carrier, and a chip that its owner has labeled so.
    _Total("board", frozenset({"VIN"})),
    _Total("board", frozenset({"BOARD"})),
    # TX1, TX2: the module's input and that of the carrier branch from the same supply.
    _Total("board", frozenset({"VDD_IN", "VDD_MUX"})),
    # Nano (4 GB).
    _Total("board", frozenset({"POM_5V_IN"})),
    # Xavier NX, TX2 NX, Orin NX, Orin Nano.
    _Total("module", frozenset({"VDD_IN"}), _OF_A_MODULE),
    _Total("module", frozenset({"5V_IN"}), _OF_A_MODULE),
    # AGX Orin: VDDQ_VDD2_1V8AO is fed from VIN_SYS_5V0 and must not be added.
    _Total("module", frozenset({"VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"})),
    # AGX Xavier: six rails side by side.
    _Total("module", frozenset({"GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"})),
    # A chip that its owner has labeled so.
    _Total("board", frozenset({"VDD_IN"})),
    _Total("board", frozenset({"5V_IN"})),
)


def summands(names: Iterable[str], silent: Iterable[str] = ()) -> dict[str, Scope]:
    """Scope of each rail that counts into a total; a rail that is not in the answer stands for itself alone.

    A label that occurs twice says nothing and counts into none. ``silent``: rails that are there and give no value now.
    """
    known = {name for name, n in Counter(names).items() if n == 1}
    upper = {name.upper(): name for name in known}
    present = {*upper, *(name.upper() for name in silent)}
    found: dict[str, Scope] = {}
    for total in _TOTALS:
        fits = total.rails <= upper.keys() and (not total.beside or total.beside & present)
        free = total.scope not in found.values() and not total.rails & found.keys()
        if fits and free:
            found |= dict.fromkeys(total.rails, total.scope)
    return {upper[name]: scope for name, scope in found.items()}
