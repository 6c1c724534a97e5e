"""Settings: one frozen dataclass per algorithm, read from and written to YAML.

A config checks itself in `__post_init__` (raising ValueError with one line); `read_config` turns
that into an InputError with the file's name. `hybrid.cli.options` makes command options of it.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any, TypeVar

from hybrid.base.artifact import atomic_path
from hybrid.base.errors import InputError, quote
from hybrid.base.reading import parse_yaml, read_text

__all__ = ["config_from_dict", "config_to_dict", "read_config", "read_yaml", "write_config", "write_yaml"]

C = TypeVar("C")


def config_to_dict(config: Any) -> dict[str, Any]:
    """Turns a config dataclass into plain values that YAML and JSON hold."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in dataclasses.asdict(config).items()}


def config_from_dict(cls: type[C], values: Mapping[str, Any], place: object = "settings") -> C:
    """Builds the config dataclass `cls` (nested ones too) from plain values.

    Raises:
      InputError: an unknown name, a missing value, or a value that the config refuses.
    """
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    unknown = sorted(set(values) - set(fields), key=str)
    if unknown:
        raise InputError.at(place, f"unknown setting '{quote(unknown[0])}'", f"Settings are: {', '.join(fields)}.")
    import typing

    hints = typing.get_type_hints(cls)
    kwargs: dict[str, Any] = {}
    for name, value in values.items():
        hint = hints[name]
        if dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
            value = config_from_dict(hint, value, f"{place}: {name}")  # type: ignore[arg-type]
        kwargs[name] = tuple(value) if isinstance(value, list) else value
    try:
        return cls(**{name: _as_float(value) if hints[name] is float else value for name, value in kwargs.items()})
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError.at(place, str(error), "Mend the settings.") from error


def _as_float(value: Any) -> Any:
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def read_yaml(path: str | os.PathLike) -> dict[str, Any]:
    """Reads a YAML mapping (safe loader: plain values only).

    Raises:
      InputError: missing, not YAML, or not a mapping.
    """
    values = parse_yaml(read_text(path), path)
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise InputError.at(path, f"holds a {type(values).__name__}, wanted 'name: value' lines")
    return values


def write_yaml(path: str | os.PathLike, values: Mapping[str, Any]) -> None:
    """Writes plain values as YAML, atomically, names in the given order."""
    import yaml

    with atomic_path(path) as temporary:
        temporary.write_text(yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True), encoding="utf-8")


def read_config(cls: type[C], path: str | os.PathLike) -> C:
    """Reads a config dataclass from a YAML file; settings that the file leaves out keep their defaults."""
    return config_from_dict(cls, read_yaml(path), path)


def write_config(path: str | os.PathLike, config: Any) -> None:
    """Writes a config dataclass as YAML."""
    write_yaml(path, config_to_dict(config))
