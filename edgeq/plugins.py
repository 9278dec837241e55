"""The shelves: what can be added as one file, found by its file name."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
import re
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import msgspec
import msgspec.inspect
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


def settings_path(shelf: str, name: str) -> Path:
    """The YAML file of a settings shelf that has this name, or the file that ``name`` is the path of."""
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        return path
    path = share_dir() / shelf / f"{name}.yaml"
    if not path.exists():
        raise InputError(f"There is no {name} in {shelf}.", nearest(name, settings_names(shelf)))
    return path


def settings(shelf: str, name: str, kind: type[R]) -> R:
    """A record from a settings shelf by name, or from a YAML file by path."""
    return read_yaml(settings_path(shelf, name), kind)


def read_yaml(path: Path, kind: type[R]) -> R:
    """Decode a YAML file into a record; the error names the path in the file and the nearest valid key."""
    return decode(str(path), yaml_mapping(path), kind)


def yaml_mapping(path: Path) -> dict[str, Any]:
    """The keys and values of a YAML file. Raises InputError where there is no such file, or no mapping in it."""
    try:
        found = yaml.safe_load(path.read_text("utf-8"))
    except OSError as e:
        raise InputError(f"{path} can't be read: {e.strerror}.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as e:
        raise InputError(f"{path} is not valid YAML: {' '.join(str(e).split())}.") from None
    if not isinstance(found, dict):
        raise InputError(f"{path} holds no keys and values.", "Write one `key: value` a line.")
    return found


def decode(where: str, found: dict[str, Any], kind: type[R]) -> R:
    """Turn keys and values into a record, strictly; ``where`` they are from begins the error's sentence."""
    try:
        return msgspec.convert(found, kind)
    except msgspec.ValidationError as e:
        text = str(e)
        unknown = text.split("unknown field `")[1].split("`")[0] if "unknown field `" in text else None
        hint = nearest(unknown, _keys_at(kind, text)) if unknown else ""
        raise InputError(f"{where}: {text}.", hint) from None


def _keys_at(kind: type[Record], text: str) -> tuple[str, ...]:
    """The keys that are valid where a message says that the error is: ``... - at `$.memory` ``."""
    at = text.partition(" - at `$")[2].rstrip("`")
    info = msgspec.inspect.type_info(kind)
    for step in re.findall(r"\.(\w+)|\[", at):
        fields = {f.name: f.type for f in getattr(info, "fields", ())}
        info = _inner(fields[step] if step else getattr(info, "item_type", info))
    return tuple(f.name for f in getattr(info, "fields", ()))


def _inner(info: msgspec.inspect.Type) -> msgspec.inspect.Type:
    """The record in ``X | None``."""
    if isinstance(info, msgspec.inspect.UnionType):
        return next(t for t in info.types if not isinstance(t, msgspec.inspect.NoneType))
    return info
