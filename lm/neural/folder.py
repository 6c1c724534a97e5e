"""A neural language model as one folder that needs nothing else: settings, tokens, pieces, weights."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hybrid.base.artifact import atomic_path, read_meta, write_meta
from hybrid.base.config import config_from_dict, config_to_dict, read_yaml, write_yaml
from hybrid.base.content import ByContent
from hybrid.base.errors import InputError, quote
from hybrid.base.integrity import check
from hybrid.base.reading import read_bytes, reading, require_followed, text_lines
from hybrid.formats.tensors import load_arrays, save_arrays
from lm.neural.attention import TransformerLm
from lm.neural.config import NeuralLmConfig
from lm.neural.recurrent import LstmLm
from lm.neural.units import Units

__all__ = ["FILES", "KIND", "NeuralLm", "build", "load_neural_lm", "save_neural_lm"]

KIND = "neural-lm"
SETTINGS, TOKENS, WEIGHTS, PIECES = "config.yaml", "tokens.txt", "final.safetensors", "pieces.model"
FILES = (SETTINGS, TOKENS, WEIGHTS)
CURE = "Train it again with `hybrid lm train-neural`."


@dataclass(frozen=True, eq=False)
class NeuralLm(ByContent):
    """A trained model.

    Attributes:
      network: an `LstmLm` or `TransformerLm`, ready for inference.
    """

    config: NeuralLmConfig
    units: Units
    network: Any
    place: object = "neural LM"


def build(config: NeuralLmConfig, num_tokens: int) -> Any:
    """Returns a network with random weights (torch's generator)."""
    return (LstmLm if config.architecture == "lstm" else TransformerLm)(config, num_tokens)


def save_neural_lm(
    folder: Path, lm: NeuralLm, settings: Mapping[str, Any], inputs: Mapping[str, Any], facts: Mapping[str, Any],
    files: Iterable[str] = (),
) -> None:  # fmt: skip
    """Writes a model into a folder that is there; its record comes last.

    Args:
      files: others in the folder that belong to it.
    """
    write_yaml(folder / SETTINGS, config_to_dict(lm.config))
    with atomic_path(folder / TOKENS) as temporary:
        temporary.write_text("".join(f"{symbol}\n" for symbol in lm.units.symbols), encoding="utf-8")
    names = [*FILES, *files]
    if lm.units.pieces:
        with atomic_path(folder / PIECES) as temporary:
            temporary.write_bytes(lm.units.pieces)
        names.append(PIECES)
    arrays = {name: tensor.detach().cpu().numpy() for name, tensor in lm.network.state_dict().items()}
    save_arrays(folder / WEIGHTS, arrays)
    write_meta(folder, KIND, settings, inputs, facts, names)


def load_neural_lm(folder: str | os.PathLike, device: torch.device | None = None) -> NeuralLm:
    """Loads a model.

    Raises:
      InputError: the folder holds none, or one that is damaged or does not fit together.
      MismatchError: a file is not the one that the folder's record tells of.
    """
    folder = Path(folder)
    require_followed(folder)
    if read_meta(folder).get("kind", KIND) != KIND or not (folder / TOKENS).exists():
        raise InputError.at(
            folder, "holds no neural language model", "Name the folder that `hybrid lm train-neural` wrote."
        )
    for name in FILES:
        check(folder / name)
    config = config_from_dict(NeuralLmConfig, read_yaml(folder / SETTINGS), folder / SETTINGS)
    units = _units(folder)
    arrays, _ = load_arrays(folder / WEIGHTS)
    held = sum(array.size for array in arrays.values())
    if config.least_size > held or len(units) > held:
        raise InputError.at(
            folder / WEIGHTS, f"holds {held} weights, too few for {len(units)} tokens and these settings", CURE
        )
    network = build(config, len(units))
    _fill(network, arrays, folder / WEIGHTS)
    return NeuralLm(config, units, network.to(device or torch.device("cpu")).eval().requires_grad_(False), folder)


def _units(folder: Path) -> Units:
    symbols = tuple(line for _, line in text_lines(folder / TOKENS))
    pieces = b""
    if (folder / PIECES).exists():
        check(folder / PIECES)
        pieces = read_bytes(folder / PIECES)
    with reading(folder / TOKENS, "list of tokens", CURE):
        units = Units(symbols, pieces)
    units.of_word("a")  # refuses pieces that are none
    return units


def _fill(network: Any, arrays: Mapping[str, np.ndarray], place: Path) -> None:
    wanted = network.state_dict()
    for name, tensor in wanted.items():
        found = arrays.get(name)
        if found is None or found.shape != tuple(tensor.shape):
            shape = "none" if found is None else str(found.shape)
            raise InputError.at(place, f"'{quote(name)}' is {shape}, wanted {tuple(tensor.shape)}", CURE)
        if not np.isfinite(found).all():
            raise InputError.at(place, f"'{quote(name)}' holds NaN or infinity", CURE)
    network.load_state_dict({name: torch.from_numpy(arrays[name].copy()) for name in wanted})
