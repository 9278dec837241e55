"""Room: which type each tensor should have, from measured damage and a budget."""

from edgeq.allocate.candidates import I_TYPES, K_TYPES, types_named
from edgeq.allocate.measuring import measure, weighed
from edgeq.allocate.solving import Base, Solver, Target

__all__ = ["I_TYPES", "K_TYPES", "Base", "Solver", "Target", "measure", "types_named", "weighed"]
