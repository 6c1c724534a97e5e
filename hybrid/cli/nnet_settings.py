"""Settings of `hybrid nnet train`: a YAML file with a section for each part, under the options that were given."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from hybrid.base.config import config_from_dict, read_yaml
from hybrid.base.errors import InputError, quote
from hybrid.base.reading import parse_yaml
from hybrid.feats.cmvn import CmvnConfig
from hybrid.feats.config import FeatureConfig
from hybrid.nnet.sequence.config import ChainConfig
from hybrid.train.nnet.config import AugmentConfig, BatchConfig, OptimiserConfig, TrainingConfig
from hybrid.train.nnet.run import NnetConfig

__all__ = ["Settings", "read_settings"]

PARTS: dict[str, type] = {
    "chain": ChainConfig, "augment": AugmentConfig, "batches": BatchConfig, "optimiser": OptimiserConfig,
    "training": TrainingConfig,
}  # fmt: skip
SECTIONS = ("network", "features", "cmvn", *PARTS)


@dataclass(frozen=True)
class Settings:
    """What a training was told.

    Attributes:
      features: static features, where they are computed from audio.
      cmvn: their normalisation, unless another model's pipeline is taken.
      chain: terms of the LF-MMI objective.
    """

    config: NnetConfig
    features: FeatureConfig
    cmvn: CmvnConfig
    chain: ChainConfig

    @property
    def subsampling_factor(self) -> int:
        """Frame subsampling of the network."""
        from hybrid.nnet.network import build_network

        config = self.config
        return build_network(config.architecture, config.network, 40, 2).subsampling_factor


def read_settings(file: Path | None, options: dict[str, Any], context: click.Context) -> Settings:
    """Reads a YAML file; an option that was given on the command line goes before what stands in it.

    The section `features` may name another file, relative to this one, that `hybrid feats extract` reads too.

    Raises:
      InputError: an unknown section or setting, or a value that is refused.
    """
    values = read_yaml(file) if file else {}
    place: object = file or "settings"
    for name in values:
        if name not in SECTIONS:
            raise InputError.at(place, f"unknown section '{quote(name)}'", f"Sections are: {', '.join(SECTIONS)}.")
        if name == "features" and isinstance(values[name], str):
            values[name] = read_yaml(Path(str(file)).parent / values[name])
        if not isinstance(values[name], dict):
            raise InputError.at(place, f"section '{quote(name)}' holds no 'name: value' lines", "Mend it.")
    network = dict(values.get("network", {}))
    for change in options.pop("changes", ()):
        name, equals, value = change.partition("=")
        if not equals:
            raise InputError.at("--set", f"'{quote(change)}' is not NAME=VALUE")
        network[name.strip().replace("-", "_")] = parse_yaml(value, f"--set {quote(name)}")
    architecture = options.pop("network", "") or network.pop("architecture", "tdnnf")
    network.pop("architecture", None)
    parts = {name: _part(name, cls, values.get(name, {}), options, context, place) for name, cls in PARTS.items()}
    chain = parts.pop("chain")
    return Settings(
        NnetConfig(architecture=architecture, network=network, **parts),
        config_from_dict(FeatureConfig, values.get("features", {}), f"{place}: features"),
        config_from_dict(CmvnConfig, values.get("cmvn", {}), f"{place}: cmvn"),
        chain,
    )


def _part(
    name: str, cls: type, section: dict[str, Any], options: dict[str, Any], context: click.Context, place: object
) -> Any:
    given = dict(section)
    for field in dataclasses.fields(cls):
        value = options.pop(field.name)
        if context.get_parameter_source(field.name) is click.core.ParameterSource.COMMANDLINE:
            given[field.name] = value
    return config_from_dict(cls, given, f"{place}: {name}")
