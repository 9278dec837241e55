"""Options that several commands share, and how they are turned into values."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from edgeq.records import Tariff

F = TypeVar("F", bound=Callable[..., Any])


_HOURS_PER_YEAR = 8760
# ggml's own limit (GGML_MAX_N_THREADS); with more it crashes.
THREADS = click.IntRange(1, 512)


class Names(click.ParamType):  # type: ignore[type-arg]
    """A comma-separated list: ``Q4_K_M,IQ3_XXS``."""

    name = "NAME,NAME"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        return tuple(part.strip() for part in str(value).split(",") if part.strip())


class Numbers(click.ParamType):  # type: ignore[type-arg]
    """A comma-separated list of numbers above 0: ``3,3.5,4.5``."""

    name = "N,N"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        if isinstance(value, tuple):
            return value
        found = []
        for part in Names().convert(value, param, ctx):
            try:
                number = float(part)
            except ValueError:
                number = math.nan
            if not 0 < number < math.inf:
                self.fail(f"{part} is no number above 0.", param, ctx)
            found.append(number)
        return tuple(found)


class Number(click.FloatRange):
    """A float in a range, and a finite one."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is no number to count with.", param, ctx)
        return number


class Life(click.ParamType):  # type: ignore[type-arg]
    """Hours, or years of 8760 hours: ``3y``."""

    name = "LIFE"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(y|h|)", str(value).strip())
        if not found or not float(found[1]):
            self.fail(f"{value} is no life: write 3y, or a number of hours.", param, ctx)
        return float(found[1]) * (_HOURS_PER_YEAR if found[2] == "y" else 1)


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
    return click.option("--threads", type=THREADS, help="CPU threads [physical cores].")(f)


def tariff_options(f: F) -> F:
    """What energy and hardware cost."""
    some = Number(0, min_open=True)
    options = (
        ("--kwh", Number(0), "Price of a kWh, in any currency: adds the cost per million tokens."),
        ("--efficiency", some, "Energy at the sensor's scope over energy at the wall, where no meter is at the wall."),
        ("--device-price", some, "Price of the device: adds its share of the cost. Needs --life."),
        ("--life", Life(), "How long the device will be used: 3y, or hours."),
    )
    for name, kind, text in reversed(options):
        f = click.option(name, type=kind, help=text)(f)
    return f


def tariff(money: Mapping[str, float | None]) -> Tariff | None:
    """The values of `tariff_options` as a record; None where no price was given."""
    from edgeq.records import Tariff

    given = {k for k, v in money.items() if v is not None}
    if given and money["kwh"] is None:
        raise click.UsageError("The cost needs the price of a kWh: --kwh.")
    if (money["device_price"] is None) != (money["life"] is None):
        raise click.UsageError("--device-price and --life belong together.")
    if (money["efficiency"] or 0) > 1:
        raise click.UsageError("--efficiency is a share, at most 1.")
    if money["kwh"] is None:
        return None
    return Tariff(money["kwh"], money["efficiency"], money["device_price"], money["life"])


def json_option(f: F) -> F:
    """Machine-readable output."""
    return click.option("--json", "as_json", is_flag=True, help="Print the record as JSON.")(f)


def echo_json(record: object) -> None:
    """Print records or plain values as JSON on standard output."""
    import msgspec

    click.echo(msgspec.json.format(msgspec.json.encode(record), indent=1).decode())
