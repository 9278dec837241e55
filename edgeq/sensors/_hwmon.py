"""The kernel's hardware monitors, found by what they say they are: their numbers change from boot to boot."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from edgeq.access import Access


def devices(access: Access, names: Collection[str]) -> list[tuple[str, Path]]:
    """(name, folder) of every hwmon device with one of these names."""
    found = [(access.try_text(folder / "name") or "", folder) for folder in access.find("sys/class/hwmon/hwmon*")]
    return [(name, folder) for name, folder in found if name in names]


def shown(access: Access, path: Path) -> str:
    """The path as the user of that machine knows it."""
    return str(Path("/") / path.relative_to(access.root))
