"""Options of commands: from a config dataclass (defaults stand there and nowhere else), and checked outputs."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import os
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hybrid.base.errors import quote
from hybrid.base.ranges import LARGEST
from hybrid.search.config import ENGINES

if TYPE_CHECKING:
    from hybrid.data.trust import Trust

__all__ = [
    "CHANNEL",
    "ENGINE",
    "JOBS",
    "KALDI_TIMES",
    "MODEL",
    "PORTION",
    "SCALE",
    "TEXT",
    "InModelPath",
    "ModelPath",
    "Real",
    "TextPath",
    "Whole",
    "config_options",
    "make_config",
    "make_nested",
    "make_trust",
    "named_files",
    "nested_options",
    "trust_options",
    "writes_among",
    "writes_either",
    "writes_file",
    "writes_folder",
]

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


class ModelPath(click.Path):
    """A model folder, or the name of a ready model (en-small)."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Returns the folder's path."""
        from hybrid.model.ready import model_folder

        return super().convert(model_folder(value), param, ctx)


class TextPath(click.Path):
    """A text that is read once: a file, a pipe of the shell, or `-`, standard input."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Returns its path."""
        return super().convert("/dev/stdin" if str(value) == "-" else value, param, ctx)


class InModelPath(ModelPath):
    """A file, or the folder or name of a model that holds one of that kind."""

    def __init__(self, file: str) -> None:
        super().__init__(path_type=Path)
        self._file = file

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Returns the file's path."""
        path = super().convert(value, param, ctx)
        return path / self._file if path.is_dir() else path


MODEL, TEXT = ModelPath(path_type=Path), TextPath(path_type=Path)
JOBS, CHANNEL = Whole(1, 1024), Whole(-1, 1023)
ENGINE = click.Choice(["auto", *ENGINES])
PORTION, SCALE = Real(0, 1), Real(0, above=True)
KALDI_TIMES = click.option(
    "--kaldi-times/--no-kaldi-times",
    default=False,
    help="Boundaries at frame number × shift, as Kaldi's, not between windows.",
)


def config_options(cls: type, exclude: tuple[str, ...] = ()) -> Callable:
    """Decorates a click command with one option per field of the frozen config dataclass `cls`.

    A field's help is `metadata={"help": ...}`. bool becomes --name/--no-name; fields that are
    dataclasses, mappings or named in `exclude` are left out.
    """

    def decorate(function: Callable) -> Callable:
        """Adds an option for every field, the first field's first."""
        hints = typing.get_type_hints(cls)
        for field in reversed(dataclasses.fields(cls)):
            kind = hints[field.name]
            if field.name in exclude or dataclasses.is_dataclass(kind) or typing.get_origin(kind) is dict:
                continue
            function = _option(field, kind)(function)
        return function

    return decorate


def nested_options(cls: type) -> Callable:
    """Adds the options of all settings that a config dataclass is made of, see `config_options`."""

    def add(function: Callable) -> Callable:
        for kind in reversed(_parts(cls).values()):
            function = config_options(kind)(function)
        return function

    return add


def _parts(cls: type) -> dict[str, type]:
    """Returns the fields of a config dataclass that are config dataclasses themselves."""
    hints = typing.get_type_hints(cls)
    return {
        field.name: hints[field.name]
        for field in dataclasses.fields(cls)
        if dataclasses.is_dataclass(hints[field.name])
    }


def make_nested(cls: type[C], options: dict[str, Any], **more: Any) -> C:
    """Takes the values of `nested_options` out of `options`; `more` are the other fields."""
    return cls(**{name: make_config(kind, options) for name, kind in _parts(cls).items()}, **more)


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


Command = Callable[..., Any]


def _output(argument: str, door: Callable[[Path, dict[str, Any]], Any]) -> Callable[[Command], Command]:
    """Decorates a command with what is done about one of its outputs before it begins.

    Args:
      argument: name of the parameter; an output that was not asked for is passed over.
      door: path and all arguments → what is held while the command runs.
    """

    def decorate(function: Command) -> Command:
        """Wraps the command; what it writes is noted beside it."""

        @functools.wraps(function)
        def wrapper(**arguments: Any) -> Any:
            """Holds the output's door open while the command runs."""
            with contextlib.ExitStack() as stack:
                if arguments[argument] is not None:
                    held = door(arguments[argument], arguments)
                    if hasattr(held, "__exit__"):
                        stack.enter_context(held)
                return function(**arguments)

        wrapper.outputs = {argument, *getattr(function, "outputs", ())}  # type: ignore[attr-defined]
        return wrapper

    return decorate


def _flag(argument: str) -> str:
    return argument.upper() if argument in ("output", "target") else f"--{argument.replace('_', '-')}"


def writes_folder(
    kind: str, *inputs: str, argument: str = "out_dir", whole: bool = False
) -> Callable[[Command], Command]:
    """Decorates a command that makes a folder: checked before the work; see `hybrid.base.output.check_folder`.

    Of processes that torchrun started together the first one checks, and writes.

    Args:
      inputs: parameters that name what is read.
    """

    def door(path: Path, arguments: dict[str, Any]) -> None:
        """Looks at the folder before the work; of several processes the first does."""
        from hybrid.base.doors import paths_of
        from hybrid.base.output import check_folder

        if os.environ.get("RANK", "0") == "0":
            check_folder(path, kind, paths_of(arguments[name] for name in inputs), _flag(argument), whole)

    return _output(argument, door)


def writes_among(argument: str = "out_dir") -> Callable[[Command], Command]:
    """Decorates a command that makes several folders or files below one that may hold anything."""

    def door(path: Path, arguments: dict[str, Any]) -> None:
        from hybrid.base.output import check_place

        check_place(path, _flag(argument))

    return _output(argument, door)


def writes_file(
    kind: str, *inputs: str, argument: str = "out", adds: bool = False, dash: bool = False
) -> Callable[[Command], Command]:
    """Decorates a command that makes a file: checked before the work, and its own until the end.

    Args:
      inputs: parameters that name what is read.
      dash: `-` is standard output.
      adds: the file gets something added, which waits for others; it is only checked.
    """

    def door(path: Path, arguments: dict[str, Any]) -> Any:
        """Opens the file's place; `-` is standard output."""
        from hybrid.base.doors import output_file, paths_of
        from hybrid.base.output import check_file

        if dash and os.fspath(path) == "-":
            return None
        made_from = paths_of(arguments[name] for name in inputs)
        if adds:
            return check_file(path, kind, made_from, _flag(argument), lock=False)
        return output_file(path, kind, made_from, _flag(argument))

    return _output(argument, door)


def refuse_if_given(name: str, partners: str) -> None:
    """Raises UsageError if an option of the running command was given, whose partners were not: it would do nothing."""
    source = click.get_current_context().get_parameter_source(name)
    if source is click.core.ParameterSource.COMMANDLINE:
        raise click.UsageError(f"{_flag(name)} goes with {partners}")


def apart(*outputs: str) -> Callable[[Command], Command]:
    """Decorates a command that makes several files, above their `writes_file`: none may be another."""

    def decorate(function: Command) -> Command:
        """The command, which refuses before it begins."""

        @functools.wraps(function)
        def wrapper(**arguments: Any) -> Any:
            """Compares the places behind links; they need not exist."""
            from hybrid.base.errors import quote

            given = [(name, arguments[name]) for name in outputs if arguments[name] is not None]
            places = {os.path.realpath(path): (name, path) for name, path in given}
            if len(places) < len(given):
                names = " and ".join(_flag(name) for name, _ in given)
                raise click.UsageError(f"{names} are one file, '{quote(given[0][1])}'; give each its own")
            return function(**arguments)

        return wrapper

    return decorate


def writes_either(
    first_if: Callable[[Path], bool],
    first: Callable[[Command], Command],
    second: Callable[[Command], Command],
    argument: str = "out",
) -> Callable[[Command], Command]:
    """Decorates a command whose output is of one of two kinds, as its name tells."""

    def decorate(function: Command) -> Command:
        """One command of two."""
        one, other = first(function), second(function)

        @functools.wraps(one)
        def wrapper(**arguments: Any) -> Any:
            return (one if first_if(arguments[argument]) else other)(**arguments)

        return wrapper

    return decorate


def named_files(option: str, values: Sequence[str]) -> dict[str, str]:
    """Returns NAME → FILE of values NAME=FILE.

    Raises:
      UsageError: another form, or a name twice.
    """
    found: dict[str, str] = {}
    for value in values:
        name, _, file = value.partition("=")
        if not name or not file:
            raise click.UsageError(f"{option}: '{quote(value)}' is not NAME=FILE")
        if name in found:
            raise click.UsageError(f"{option}: '{quote(name)}' is given twice")
        found[name] = file
    return found
