"""Absurd numbers: every option of every command and every field of a config dataclass refuses them in one line."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator
from typing import Any

import click
import pytest
from click.testing import CliRunner

from hybrid.base.errors import HybridError
from hybrid.base.ranges import LARGEST, Range, check_fields
from hybrid.cli.main import command
from tests.packages import modules

ABSURD = ("nan", "inf", "-inf", "-1", str(10**12), str(10**40))


def _commands(group: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if isinstance(group, click.Group):
        context = click.Context(group)
        for name in group.list_commands(context):
            found = group.get_command(context, name)
            assert found is not None
            yield from _commands(found, (*path, name))
    else:
        yield path, group


def _numeric() -> Iterator[Any]:
    for path, found in _commands(command):
        for option in found.params:
            if isinstance(option, click.Option) and isinstance(option.type, (_INT, _FLOAT)):
                yield pytest.param(path, found, option, id=" ".join((*path, option.opts[0])))


_INT, _FLOAT = type(click.INT), type(click.FLOAT)


def _arguments(found: click.Command, option: click.Option, value: str) -> list[str]:
    """The option with that value, and something for everything that the command must have; no such file is there."""
    words = [f"{option.opts[-1]}={value}" if option.opts[-1].startswith("--") else f"{option.opts[-1]}{value}"]
    for other in found.params:
        if isinstance(other, click.Argument):
            words += ["nowhere/file"] * (1 if other.required else 0)
        elif other.required and other is not option:
            kind = other.type
            given = (
                kind.choices[0] if isinstance(kind, click.Choice) else "1" if isinstance(kind, (_INT, _FLOAT)) else "x"
            )
            words += [other.opts[-1], str(given)]
    return words


@pytest.mark.parametrize(("path", "found", "option"), tuple(_numeric()))
def test_absurd_options(path, found, option, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for value in ABSURD:
        done = CliRunner().invoke(command, [*path, *_arguments(found, option, value)])
        assert done.exit_code, f"{value} passed"
        if done.exit_code == 2:
            assert len(done.output.strip().splitlines()[-1]) < 300
        else:
            assert isinstance(done.exception, (HybridError, SystemExit)), f"{value}: {done.exception!r}"


def _configs() -> Iterator[type]:
    for module in modules():
        for name, cls in vars(module).items():
            if (
                name.endswith(("Config", "Options"))
                and dataclasses.is_dataclass(cls)
                and cls.__module__ == module.__name__
            ):
                yield cls


@pytest.mark.parametrize("cls", sorted(set(_configs()), key=lambda cls: (cls.__module__, cls.__name__)))
def test_absurd_fields(cls: Any) -> None:
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        kinds = {hints[field.name], *typing.get_args(hints[field.name])}
        if not kinds & {int, float}:
            continue
        listed = typing.get_origin(hints[field.name]) is tuple
        for value in (float("nan"), float("inf"), float("-inf"), 10**400, "text", True, [1]):
            with pytest.raises(ValueError, match=f"{field.name} is"):
                cls(**{field.name: (value,) if listed else value})
        for value in (-1, 10**12):
            try:
                cls(**{field.name: (value,) if listed else value})
            except ValueError as error:
                assert len(str(error)) < 300 and "\n" not in str(error)


@dataclasses.dataclass(frozen=True)
class _Example:
    count: int = 1
    share: float = 0.5
    passes: tuple[int, ...] = ()
    limit: float | None = None
    name: str = ""

    def __post_init__(self) -> None:
        check_fields(self, count=Range(1), share=Range(0, 1), passes=Range(0, 9), limit=Range(0, above=True))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"count": 0}, "count is 0, wanted at least 1"),
        ({"count": 10**10}, "count is 10000000000, wanted at most 1000000000"),
        ({"count": 2.0}, "count is '2.0', wanted a whole number"),
        ({"count": True}, "count is 'True', wanted a whole number"),
        ({"share": 1.5}, "share is 1.5, wanted 0 to 1"),
        ({"share": "half\x1b[2J"}, r"share is 'half\x1b[2J', wanted a number"),
        ({"passes": (1, 10)}, "passes is 10, wanted 0 to 9"),
        ({"passes": 3}, "passes is '3', wanted a list"),
        ({"limit": 0.0}, "limit is 0, wanted more than 0"),
        ({"name": 5}, "name is '5', wanted a text"),
    ],
)
def test_messages(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        _Example(**values)
    assert str(caught.value) == message


def test_what_is_right() -> None:
    assert _Example(count=int(LARGEST), share=1, passes=(0, 9), limit=None).share == 1
