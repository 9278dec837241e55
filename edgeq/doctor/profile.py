"""Whether this machine is the one that the profile describes."""

from __future__ import annotations

from edgeq import profiles
from edgeq.access import Access
from edgeq.doctor.finding import Finding, SensorFinding


def profile(access: Access, sensors: tuple[SensorFinding, ...]) -> tuple[Finding, ...]:
    """The profile against the machine, and its power channel against those that were found.

    Without a chosen profile: which one of the shelf is this machine's.
    """
    chosen = access.profile
    known = profiles.detect(access)
    if chosen.name == "local":
        return (_suggested(known),)
    found = profiles.differences(chosen, access)
    if found:
        hints = [d.hint for d in found if d.hint]
        other = [f"This machine is {known}: --profile {known}"] if known not in (None, chosen.name) else []
        match = Finding("profile", False, "; ".join(d.text for d in found), "\n".join((*hints, *other)))
    else:
        match = Finding("profile", True, f"{chosen.name}: this machine is as it says")
    return (match, *_channel(chosen.power_channel, sensors))


def _suggested(known: str | None) -> Finding:
    if known is None:
        return Finding("profile", False, "none of the shelf is this machine's", "`edgeq profiles draft` begins one.")
    return Finding("profile", True, f"this machine is {known}", f"`--profile {known}` uses what is known of it.")


def _channel(wanted: str | None, sensors: tuple[SensorFinding, ...]) -> tuple[Finding, ...]:
    """``wanted``: sensor and channel, or None where the profile names none."""
    if wanted is None:
        return ()
    power = [
        f"{s.name} {r.channel}"
        for s in sensors
        if s.state == "usable"
        for r in s.readings
        if r.quantity in ("energy", "power")
    ]
    if wanted in power:
        return (Finding("power channel", True, wanted),)
    reasons = [s.hint or s.text for s in sensors if s.name == wanted.partition(" ")[0] and s.state != "usable"]
    others = f"Found are: {', '.join(power)}." if power else "No sensor gives power."
    text = f"{wanted} is not among the sensors' channels"
    return (Finding("power channel", False, text, "\n".join((*reasons, others))),)
