"""The shelves: what can be added as one file, found by its file name."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import TypeVar

import msgspec
import yaml

from edgeq.errors import InputError
from edgeq.records import Record
from edgeq.store import share_dir

R = TypeVar("R", bound=Record)


def nearest(name: str, options: Iterable[str]) -> str:
    """A sentence that suggests the most similar of the valid names, or lists them where none is similar."""
    names = sorted(options)
    upper = {n.upper(): n for n in names}
    close = difflib.get_close_matches(name.upper(), list(upper), n=1, cutoff=0.5)
    return f"Did you mean {upper[close[0]]}?" if close else f"Valid are: {', '.join(names)}."


def modules(shelf: str) -> list[str]:
    """Names of the files on a code shelf (``backends``, ``quants``, ``sensors``)."""
    package = importlib.import_module(f"edgeq.{shelf}")
    return sorted(m.name for m in pkgutil.iter_modules(package.__path__) if not m.name.startswith("_"))


def module(shelf: str, name: str) -> ModuleType:
    """The shelf file of this name. Raises InputError with the nearest name."""
    if name not in (names := modules(shelf)):
        raise InputError(f"There is no {name} in {shelf}.", nearest(name, names))
    return importlib.import_module(f"edgeq.{shelf}.{name}")


def settings_names(shelf: str) -> list[str]:
    """Names of the YAML files on a settings shelf (``profiles``, ``recipes``)."""
    return sorted(p.stem for p in (share_dir() / shelf).glob("*.yaml"))


def settings(shelf: str, name: str, kind: type[R]) -> R:
    """A record from a settings shelf by name, or from a YAML file by path."""
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        path = share_dir() / shelf / f"{name}.yaml"
        if not path.exists():
            raise InputError(f"There is no {name} in {shelf}.", nearest(name, settings_names(shelf)))
    return read_yaml(path, kind)


def read_yaml(path: Path, kind: type[R]) -> R:
    """Decode a YAML file into a record; the error names the path in the file and the nearest valid key."""
    try:
        return msgspec.convert(yaml.safe_load(path.read_text("utf-8")), kind)
    except OSError as e:
        raise InputError(f"{path} can't be read: {e.strerror}.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as e:
        raise InputError(f"{path} is not valid YAML: {' '.join(str(e).split())}.") from None
    except msgspec.ValidationError as e:
        text = str(e)
        unknown = text.split("unknown field `")[1].split("`")[0] if "unknown field `" in text else None
        hint = nearest(unknown, kind.__struct_fields__) if unknown else ""
        raise InputError(f"{path}: {text}.", hint) from None
