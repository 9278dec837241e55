"""What every record is, and the version of the format on disk."""

from __future__ import annotations

import msgspec

# 1: first version.
# 2: energy and its channels' errors, memory by kind, throttling, meters, idle phases, what sampling cost.
# 3: builds with versions and self-tests, profiles with everything that is known of a device, boards in hosts.
# 4: adapters and options of methods, overwritten activations, tasks, continuations, the table of methods.
# 5: what tensors are worth, allocations and fronts, speeds of weight types, second moments, refining.
SCHEMA = 5


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=False):
    """A fact that was written down once and is never changed."""


class Note(Record, frozen=True):
    """A warning that travels with the result it concerns."""

    code: str
    text: str
    hint: str = ""


class Stored(Record, frozen=True):
    """How a record lies on disk: schema, kind, and the key of the inputs that it was made from."""

    schema: int
    kind: str
    key: str
    record: msgspec.Raw
