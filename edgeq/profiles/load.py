"""Reading a profile: strictly decoded, then checked for values that can't be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from edgeq import plugins
from edgeq.errors import InputError
from edgeq.records import Profile
from edgeq.store import share_dir
from edgeq.toolchain import isa_problem


def names() -> list[str]:
    """The profiles on the shelf."""
    return plugins.settings_names("profiles")


def load(name: str) -> Profile:
    """A profile from the shelf by name, or from a YAML file by path.

    A file may say ``like: NAME`` and give only what differs from that profile of the shelf; what it gives stands in
    place of the other's whole value. Raises InputError for what can't be read, unknown keys and impossible values.
    """
    path = plugins.settings_path("profiles", name)
    return _checked(str(path), plugins.decode(str(path), _mapping(path), Profile))


def changed(profile: Profile, **options: object) -> Profile:
    """The profile with a user's options over it; None is not given. Raises InputError as `load` does."""
    given = {key: value for key, value in options.items() if value is not None}
    return _checked("options", plugins.decode("options", {**msgspec.to_builtins(profile), **given}, Profile))


def _mapping(path: Path) -> dict[str, Any]:
    given = plugins.yaml_mapping(path)
    if (base := given.pop("like", None)) is None:
        return given
    if base not in names():
        raise InputError(f"{path}: like: there is no profile {base}.", plugins.nearest(str(base), names()))
    return {**_mapping(share_dir() / "profiles" / f"{base}.yaml"), **given}


def _checked(where: str, profile: Profile) -> Profile:
    for shelf, names_given in (("backends", (profile.backend,)), ("sensors", profile.sensors or ())):
        for name in names_given:
            if name not in (known := plugins.modules(shelf)):
                raise InputError(f"{where}: there is no {name} in {shelf}.", plugins.nearest(name, known))
    asked = max((profile.n_threads or 0, *profile.try_threads))
    if profile.n_cores and asked > profile.n_cores:
        raise InputError(
            f"{where}: {asked} threads on {profile.n_cores} cores.", "Correct n_threads, try_threads or cores."
        )
    memory = profile.memory
    if memory and memory.system_gib >= memory.gib:
        raise InputError(
            f"{where}: memory.system_gib ({memory.system_gib:g}) leaves nothing of {memory.gib:g} GiB.",
            "It is what the firmware and an idle system keep.",
        )
    if problem := isa_problem(profile.isa, profile.target or ""):
        raise InputError(f"{where}: {problem}.", "Correct isa or target.")
    return profile
