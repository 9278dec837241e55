"""Options that several commands share, and how they are turned into values."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


class Names(click.ParamType):  # type: ignore[type-arg]
    """A comma-separated list: ``Q4_K_M,IQ3_XXS``."""

    name = "NAME,NAME"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        return tuple(part.strip() for part in str(value).split(",") if part.strip())


def model_argument(f: F) -> F:
    """The model file to work on."""
    return click.argument("model", type=click.Path(path_type=Path))(f)


def text_option(f: F) -> F:
    """The texts to work on."""
    return click.option(
        "--text", "texts", multiple=True, required=True, type=click.Path(path_type=Path), help="Text file; repeatable."
    )(f)


def threads_option(f: F) -> F:
    """CPU threads."""
    return click.option("--threads", type=click.IntRange(1), default=None, help="CPU threads [physical cores].")(f)


def json_option(f: F) -> F:
    """Machine-readable output."""
    return click.option("--json", "as_json", is_flag=True, help="Print the record as JSON.")(f)


def echo_json(record: object) -> None:
    """Print records or plain values as JSON on standard output."""
    import msgspec

    click.echo(msgspec.json.format(msgspec.json.encode(record), indent=1).decode())
