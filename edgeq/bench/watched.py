"""A native program with every sensor read beside it, and the machine at rest before and after."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from edgeq import device, programs
from edgeq.access import Access
from edgeq.instruments import Instruments
from edgeq.recorder import Recorder
from edgeq.records import Build, Phase


class Watched:
    """Its phases, idle ones first and last, and what the recorder has seen meanwhile."""

    def __init__(self, access: Access, found: Instruments, idle_s: float) -> None:
        self.recorder = Recorder(found.sensors, access)
        self.phases: list[Phase] = []
        self._access = access
        self._found = found
        self._idle_s = idle_s

    def run(
        self,
        build: Build,
        role: str,
        argv: Sequence[str],
        *,
        what: str,
        on_phase: Callable[[Phase], None],
        on_event: Callable[[str, dict[str, object]], None],
        on_idle: Callable[[int], None],
        on_tick: Callable[[], None],
    ) -> None:
        """Rest, run the program, rest. ``on_event`` is given the kind of every event that is no phase."""

        def take(e: dict[str, object]) -> None:
            kind = str(e.pop("event"))
            if kind == "phase":
                self.phases.append(phase := msgspec.convert(e, Phase))
                on_phase(phase)
            else:
                on_event(kind, e)

        with self.recorder.running(on_tick):
            self._idle(0, on_idle)
            programs.native(build, role, argv, what=what, on_event=take, on_start=self._follow)
            self.recorder.leave()
            self._idle(1, on_idle)

    def _idle(self, rep: int, on_idle: Callable[[int], None]) -> None:
        if not self._idle_s:
            return
        on_idle(rep)
        with self.recorder.idle():
            t0_ns = self._access.clock()
            self._access.sleep(self._idle_s)
            self.phases.append(Phase("idle", None, rep, 0, t0_ns, self._access.clock()))
        self._access.sleep(self._found.settle_s if rep else 0.0)

    def _follow(self, guard_pid: int) -> None:
        pid = device.child_pid(guard_pid)
        if pid is not None:  # else it has failed already, and its error says why
            self.recorder.follow(pid)
