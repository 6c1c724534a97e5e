"""Settings of a training as a YAML file with a section for each part."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hybrid.base.config import config_from_dict, read_yaml
from hybrid.base.content import ByContent
from hybrid.base.errors import InputError, quote
from hybrid.feats.cmvn import CmvnConfig
from hybrid.feats.config import FeatureConfig
from hybrid.nnet.sequence.config import ChainConfig
from hybrid.train.nnet.config import AugmentConfig, BatchConfig, FullSumConfig, OptimiserConfig, TrainingConfig
from hybrid.train.nnet.run import NnetConfig

__all__ = ["PARTS", "Settings", "settings_of"]

PARTS: dict[str, Any] = {
    "chain": ChainConfig,
    "full_sum": FullSumConfig,
    "augment": AugmentConfig,
    "batches": BatchConfig,
    "optimiser": OptimiserConfig,
    "training": TrainingConfig,
}
SECTIONS = ("network", "features", "cmvn", *PARTS)


@dataclass(frozen=True, eq=False)
class Settings(ByContent):
    """What a training was told.

    Attributes:
      features: static features, where they are computed from audio.
      cmvn: their normalisation, unless another model's pipeline is taken.
      chain: terms of the LF-MMI objective.
      full_sum: the HMM of a full-sum training.
    """

    config: NnetConfig
    features: FeatureConfig
    cmvn: CmvnConfig
    chain: ChainConfig
    full_sum: FullSumConfig

    @property
    def subsampling_factor(self) -> int:
        """Frame subsampling of the network."""
        from hybrid.nnet.network import build_network

        config = self.config
        return build_network(config.architecture, config.network, 40, 2).subsampling_factor


def settings_of(
    file: Path | None, given: Mapping[str, Any] | None = None, network: Mapping[str, Any] | None = None,
    architecture: str = "",
) -> Settings:  # fmt: skip
    """Reads a YAML file; what is given otherwise goes before what stands in it.

    The section `features` may name another file, relative to this one, that `hybrid feats extract` reads too.

    Args:
      given: settings by name, of any part. network: of the network. architecture: another one than the file's.

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
    shape = {**values.get("network", {}), **(network or {})}
    named = shape.pop("architecture", "tdnnf")
    parts = {}
    for name, cls in PARTS.items():
        fields = {field.name for field in dataclasses.fields(cls)}
        own = {key: value for key, value in (given or {}).items() if key in fields}
        parts[name] = config_from_dict(cls, {**values.get(name, {}), **own}, f"{place}: {name}")
    chain, full_sum = parts.pop("chain"), parts.pop("full_sum")
    return Settings(
        NnetConfig(architecture=architecture or named, network=shape, **parts),
        config_from_dict(FeatureConfig, values.get("features", {}), f"{place}: features"),
        config_from_dict(CmvnConfig, values.get("cmvn", {}), f"{place}: cmvn"),
        chain,
        full_sum,
    )
