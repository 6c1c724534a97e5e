"""Turns a config dataclass into command options: defaults stand in the dataclass and nowhere else."""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hybrid.base.ranges import LARGEST

if TYPE_CHECKING:
    from hybrid.data.trust import Trust

__all__ = ["CHANNEL", "JOBS", "PORTION", "SCALE", "Real", "Whole", "config_options", "make_config", "make_trust",
           "trust_options"]  # fmt: skip

C = TypeVar("C")


class Whole(click.IntRange):
    """Whole numbers from `low` on; never more than any setting needs."""

    def __init__(self, low: int = 0, high: int = int(LARGEST)) -> None:
        super().__init__(low, high)


class Real(click.FloatRange):
    """Numbers in a range; NaN is none, and infinity only where `endless`."""

    def __init__(
        self, low: float = -LARGEST, high: float = LARGEST, above: bool = False, endless: bool = False
    ) -> None:
        super().__init__(low, math.inf if endless else high, min_open=above)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuses NaN, which lies in no range and outside none."""
        if math.isnan(float(click.FLOAT.convert(value, param, ctx))):
            self.fail(f"{value} is no number", param, ctx)
        return super().convert(value, param, ctx)


JOBS, CHANNEL = Whole(1, 1024), Whole(-1, 1023)
PORTION, SCALE = Real(0, 1), Real(0, above=True)


def config_options(cls: type, exclude: tuple[str, ...] = ()) -> Callable:
    """Decorates a click command with one option per field of the frozen config dataclass `cls`.

    A field's help is `metadata={"help": ...}`. bool becomes --name/--no-name; fields that are
    dataclasses, mappings or named in `exclude` are left out.
    """

    def decorate(function: Callable) -> Callable:
        hints = typing.get_type_hints(cls)
        for field in reversed(dataclasses.fields(cls)):
            kind = hints[field.name]
            if field.name in exclude or dataclasses.is_dataclass(kind) or typing.get_origin(kind) is dict:
                continue
            function = _option(field, kind)(function)
        return function

    return decorate


def _option(field: dataclasses.Field, kind: Any) -> Callable:
    flag = field.name.replace("_", "-")
    default = field.default if field.default is not dataclasses.MISSING else None
    if default is None and field.default_factory is not dataclasses.MISSING:
        default = field.default_factory()
    text = field.metadata.get("help", "")
    if kind is bool:
        return click.option(f"--{flag}/--no-{flag}", field.name, default=default, help=text)
    arguments = [a for a in typing.get_args(kind) if a is not type(None)]
    if typing.get_origin(kind) is tuple:
        return click.option(f"--{flag}", field.name, type=arguments[0], multiple=True, default=default, help=text)
    if typing.get_origin(kind) is typing.Literal:
        return click.option(
            f"--{flag}", field.name, type=click.Choice([str(a) for a in arguments]), default=default, help=text
        )
    return click.option(f"--{flag}", field.name, type=arguments[0] if arguments else kind, default=default, help=text)


def trust_options(function: Callable) -> Callable:
    """Adds the options that let a manifest do more than name files; `make_trust` takes them."""
    urls = click.option("--allow-urls", is_flag=True, help="Fetch audio from the URLs that the manifest names.")
    commands = click.option(
        "--allow-commands", is_flag=True, help="Run the shell commands that the manifest gives as audio."
    )
    return commands(urls(function))


def make_trust(options: dict[str, Any]) -> Trust:
    """Takes the options of `trust_options` out of a command's options."""
    from hybrid.data.trust import Trust

    return Trust(options.pop("allow_commands"), options.pop("allow_urls"))


def make_config(cls: type[C], options: dict[str, Any]) -> C:
    """Takes the fields of `cls` out of a command's options (removing them) and builds the config.

    Raises:
      click.UsageError: the config refuses a value.
    """
    names = [f.name for f in dataclasses.fields(cls) if f.name in options]  # type: ignore[arg-type]
    try:
        return cls(**{name: options.pop(name) for name in names})
    except (TypeError, ValueError) as error:
        name, space, rest = str(error).partition(" ")
        option = f"--{name.replace('_', '-')}" if name in names else name
        raise click.UsageError(f"{option}{space}{rest}") from error
