"""Entry of the worker process: one request in, events out."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from edgeq.tensors.refused import Refused
from edgeq.worker import operations
from edgeq.worker.events import Events


def main() -> int:
    """Run the request; a refusal is an error event and status 5, as in the native programs."""
    request = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=dict[str, object])
    events = Events(Path(sys.argv[3]))
    try:
        operations.run(request, events)
    except Refused as e:
        events.send("error", code=e.code, text=str(e))
        return 5
    return 0


if __name__ == "__main__":
    sys.exit(main())
