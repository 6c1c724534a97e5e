"""Settings of `hybrid nnet train`: a YAML file under the options that were given."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import click

from hybrid.base.errors import InputError, quote
from hybrid.base.reading import parse_yaml
from hybrid.train.nnet.settings import PARTS, Settings, settings_of

__all__ = ["read_settings"]


def read_settings(file: Path | None, options: dict[str, Any], context: click.Context) -> Settings:
    """Takes the settings out of a command's options; one that was not given leaves the file's, or its default.

    Raises:
      InputError: see `settings_of`.
    """
    given = {}
    for name in [field.name for cls in PARTS.values() for field in dataclasses.fields(cls)]:
        value = options.pop(name)
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            given[name] = value
    network = {}
    for change in options.pop("changes"):
        name, equals, value = change.partition("=")
        if not equals:
            raise InputError.at("--set", f"'{quote(change)}' is not NAME=VALUE")
        network[name.strip().replace("-", "_")] = parse_yaml(value, f"--set {quote(name)}")
    return settings_of(file, given, network, options.pop("network"))
