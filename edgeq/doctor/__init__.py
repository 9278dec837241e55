"""Room: an examination of this machine. Nothing is changed."""

from __future__ import annotations

from edgeq import instruments
from edgeq.access import Access
from edgeq.doctor.finding import Examination, Finding, Reading, SensorFinding
from edgeq.doctor.profile import profile
from edgeq.doctor.readiness import readiness
from edgeq.doctor.sensing import sensing
from edgeq.doctor.software import software

__all__ = ["Examination", "Finding", "Reading", "SensorFinding", "examine"]


def examine(access: Access) -> Examination:
    """Look at the software, read every sensor for a few seconds, and look at what disturbs measurements."""
    with instruments.opened(access) as found:
        sensors = sensing(found, access)
    return Examination((*software(), *profile(access, sensors)), sensors, readiness(access), found.measure_power)
