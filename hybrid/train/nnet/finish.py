"""What is made of the models that a training kept: an average with its own statistics and priors, as a folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from torch import Tensor

from hybrid.base.artifact import read_meta
from hybrid.base.disk import remove_mark
from hybrid.base.errors import InputError
from hybrid.base.log import get_logger
from hybrid.model.folder import Model, load_model, save_model
from hybrid.nnet.acoustic import NetworkAcousticModel
from hybrid.nnet.losses import Criterion
from hybrid.nnet.network import Network
from hybrid.nnet.priors import measure_log_prior
from hybrid.train.nnet.average import FOLDER, choose, kept_models, load_average, renew_statistics
from hybrid.train.nnet.batches import plan_epoch
from hybrid.train.nnet.config import AugmentConfig, BatchConfig
from hybrid.train.nnet.data import BatchMaker, Example, FeatureCache
from hybrid.train.nnet.sources import FeatureSource, Item

__all__ = ["STATISTICS_FRAMES", "average_model", "renew_prior", "without_context"]

logger = get_logger(__name__)
STATISTICS_FRAMES = 1_000_000  # of features that batch statistics and priors are measured on


class NoTargets:
    """For measurements that need features only; see `Targets`."""

    def fault(self, item: Item) -> str:
        """Nothing hinders."""
        return ""

    def of_chunk(self, item: Item, start: int, frames: int) -> None:
        """Nothing is wanted."""

    def together(self, chunks: object) -> None:
        """Nothing is wanted."""


def without_context(examples: Iterable[Example], left: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yields features and lengths of chunks as utterances of their own."""
    for example in examples:
        if example.names:
            frames = int(example.lengths.max())
            yield torch.from_numpy(example.features[:, left : left + frames]), torch.from_numpy(example.lengths)


def _examples(source: FeatureSource, network: Network, whole: bool) -> Iterator[Example]:
    """Yields enough examples of a source to measure on."""
    left, right = network.chunk_context
    factor = network.subsampling_factor
    items, failed = source.items()
    if not items:
        raise InputError.at("features", "hold no utterance that can be used", "Give those that were trained on.")
    maker = BatchMaker(source, items, NoTargets(), left, right, factor, AugmentConfig(), 0, FeatureCache("float32", 0))
    config = BatchConfig(chunk_frames=(0,) if whole else (50 * factor,), batch_frames=64 * 50 * factor)
    frames = 0
    for batch in plan_epoch([item.frames for item in items], config, factor, 0, 0):
        yield maker.make(0, batch, vary=False)
        frames += int(batch.frames.sum())
        if frames >= STATISTICS_FRAMES:
            return


def _prior(source: FeatureSource, network: Network) -> np.ndarray:
    """Measures a prior on whole utterances."""
    return measure_log_prior(network, without_context(_examples(source, network, whole=True), network.chunk_context[0]))


def _network_of(model_dir: Path) -> tuple[Model, NetworkAcousticModel]:
    model = load_model(model_dir)
    if not isinstance(model.acoustic_model, NetworkAcousticModel):
        raise InputError.at(model_dir, "holds no network", "Name the folder of one (hybrid nnet train).")
    return model, model.acoustic_model


def average_model(
    model_dir: Path, out_dir: Path, count: int, best: bool, source: FeatureSource | None, device: torch.device
) -> list[int]:
    """Writes the average of models that a training kept.

    Args:
      count: how many, the last or the best on held-out data.
      source: features on which batch statistics, and the prior where there is one, are measured anew; without it they
        are averages too. A training on lattices keeps those that it started from.

    Returns:
      The numbers of the models averaged.

    Raises:
      InputError: no network, or none was kept.
    """
    model, acoustic = _network_of(model_dir)
    chosen = choose(kept_models(model_dir), count, best)
    if len(chosen) < count:
        logger.warning("%s: %d models were wanted, %d were kept", model_dir / FOLDER, count, len(chosen))
    network = acoustic.network
    load_average(network, chosen)
    prior = acoustic.log_prior
    if (read_meta(model_dir).get("settings") or {}).get("objective") in get_args(Criterion):
        logger.info("statistics and prior stay, as in the training on lattices")
    elif source is None:
        logger.warning("no features are given: batch statistics are averages too, which fit the average less well")
    else:
        renew_statistics(network.to(device), _examples(source, network, whole=False), device)
        if prior is not None:
            prior = _prior(source, network)
    inputs = {"model": model_dir, **({} if source is None else source.inputs())}
    _save(out_dir, model, replace(acoustic, network=network.cpu(), log_prior=prior), inputs,
          {"averaged": [each.number for each in chosen], "of": "best" if best else "last"})  # fmt: skip
    return [each.number for each in chosen]


def renew_prior(model_dir: Path, out_dir: Path, source: FeatureSource, device: torch.device) -> None:
    """Writes a model with the prior measured anew on features.

    Raises:
      InputError: no network, or one without the head of log-posteriors.
    """
    model, acoustic = _network_of(model_dir)
    if acoustic.head != "xent":
        raise InputError.at(model_dir, "scores by LF-MMI, which takes no prior", "Nothing needs to be done.")
    network = acoustic.network.to(device)
    prior = _prior(source, network)
    _save(out_dir, model, replace(acoustic, network=network.cpu(), log_prior=prior),
          {"model": model_dir, **source.inputs()}, {})  # fmt: skip


def _save(
    out_dir: Path, model: Model, acoustic: NetworkAcousticModel, inputs: dict[str, object], facts: dict[str, object]
) -> None:
    before = read_meta(Path(str(model.path)))
    remove_mark(out_dir)
    save_model(out_dir, replace(model, acoustic_model=acoustic), before.get("settings"), inputs, facts)
