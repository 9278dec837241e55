"""Energy of an x86 processor from Linux's powercap: RAPL counters of Intel, and of AMD under the same names.

The same package may appear twice, through machine registers (intel-rapl) and through mapped memory (intel-rapl-mmio).
Since 2020 (CVE-2020-8694) only root may read the energy; names and ranges stay readable.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from edgeq.access import Access
from edgeq.errors import DeniedError, MissingError
from edgeq.sensors import Sensor
from edgeq.sensors._rapl import Counter, Rapl, channel, domain_of, moving

_ZONES = ("sys/class/powercap/intel-rapl:*", "sys/class/powercap/intel-rapl-mmio:*")
# Short peaks exceed the declared limits several times; a reset counter taken for a wrapped one would mean megawatts.
_MAX_OVER_LIMIT = 10
_UDEV_RULE = (
    'SUBSYSTEM=="powercap", KERNEL=="intel-rapl*", ACTION=="add", '
    'RUN+="/bin/chgrp powercap /sys%p/energy_uj", RUN+="/bin/chmod g+r /sys%p/energy_uj"'
)
_FIX = (
    "Run edgeq as root, or once: `sudo groupadd -f powercap && sudo usermod -aG powercap $USER`, put the line\n"
    f"  {_UDEV_RULE}\n"
    "into /etc/udev/rules.d/70-powercap.rules, "
    "`sudo udevadm control --reload && sudo udevadm trigger --subsystem-match=powercap --action=add`, log in again."
)


def probe(access: Access) -> Sensor:
    """Every distinct energy counter. Raises DeniedError where only root may read them, MissingError without any."""
    counters, denied = _counters(access)
    if denied and not any(c.domain == "package" for c in counters):
        raise DeniedError("RAPL energy counters are here, and only root may read them.", _FIX)
    if counters:
        with contextlib.suppress(OSError, ValueError):
            return Rapl(moving(counters, access))
    raise MissingError(
        "There are no RAPL energy counters here.",
        "Linux shows them on x86 processors (`sudo modprobe intel_rapl_msr`), not in virtual machines and containers.",
    )


def _counters(access: Access) -> tuple[list[Counter], bool]:
    """All counters that can be read, and whether there is one that may not be."""
    counters: dict[str, Counter] = {}
    denied = False
    for zone in (z for pattern in _ZONES for z in access.find(pattern)):
        name = _name(access, zone)
        domain = domain_of(name.split()[-1]) if name else None
        if domain is None or name in counters:
            continue
        joules = _reader(access, zone / "energy_uj")
        try:
            joules()
            wraps_at = int(access.text(zone / "max_energy_range_uj")) / 1e6 or None
        except PermissionError:
            denied = True
        except (OSError, ValueError):
            continue
        else:
            counters[name] = Counter(
                domain, channel(domain, name, f"{zone.name}/energy_uj", wraps_at, _max_w(access, zone)), joules
            )
    return list(counters.values()), denied


def _name(access: Access, zone: Path) -> str:
    """``package-0``; for the zones within it ``package-0 core``, as every package has one; "" where there is none."""
    own = access.try_text(zone / "name") or ""
    parent = zone.with_name(zone.name.rpartition(":")[0])
    within = access.try_text(parent / "name") if ":" in parent.name else None
    return f"{within} {own}".strip() if own and within else own


def _reader(access: Access, energy: Path) -> Callable[[], float]:
    return lambda: int(access.text(energy)) / 1e6


def _max_w(access: Access, zone: Path) -> float | None:
    """More than this the zone can't take: a multiple of its largest limit, or of its parent's; None without limits."""
    files = [f"constraint_{i}_{kind}_uw" for i in range(3) for kind in ("max_power", "power_limit")]
    limits = [int(t) for f in files if (t := access.try_text(zone / f) or "").isdecimal()]
    if any(limits):
        return _MAX_OVER_LIMIT * max(limits) / 1e6
    parent = zone.with_name(zone.name.rpartition(":")[0])
    return _max_w(access, parent) if ":" in parent.name else None
