"""Tasks by their inputs: what the command line names, put together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hybrid.align.convert import spread
from hybrid.base.errors import InputError
from hybrid.base.log import get_logger
from hybrid.feats.cmvn import CmvnConfig
from hybrid.feats.config import FeatureConfig
from hybrid.feats.pipeline import FeaturePipeline
from hybrid.feats.store import FeatureStore
from hybrid.gmm.speaker_transforms import load_transforms
from hybrid.model.folder import Model, load_model
from hybrid.nnet.acoustic import NetworkAcousticModel
from hybrid.nnet.network import Network
from hybrid.train.gmm.ladder import load_alignments
from hybrid.train.nnet.config import AugmentConfig
from hybrid.train.nnet.cross_entropy import AlignmentTargets, CrossEntropy
from hybrid.train.nnet.run import Task
from hybrid.train.nnet.sources import AudioSource, FeatureSource, StoreSource, cmvn_of_audio

__all__ = ["acoustic_of", "audio_source", "cross_entropy_task", "network_of", "speaker_transforms", "store_source"]

logger = get_logger(__name__)


def store_source(
    feats: Path, cmvn: CmvnConfig, augment: AugmentConfig, like: Path | None = None, transforms: Path | None = None
) -> FeatureSource:
    """Takes features from a store.

    Args:
      like: a model whose pipeline is used (LDA+MLLT of a GMM); else static features with `cmvn`.
      transforms: transforms.safetensors of its speakers, or a folder that holds it.

    Raises:
      InputError: settings that need audio, transforms without a model, or see the readers.
    """
    if augment.speeds != (1.0,) or augment.changes_samples:
        raise InputError.at(
            "--feats", "cannot change speed or add noise and rooms: features are made already",
            "Give --cuts, or extract features of what `hybrid data perturb-speed` makes.",
        )  # fmt: skip
    store = FeatureStore.open(feats)
    if like is None:
        if transforms is not None:
            raise InputError.at("--transforms", "are of no use without the pipeline of their model", "Give --like too.")
        return StoreSource(store, FeaturePipeline.for_store(store, cmvn))
    model = load_model(like)
    found = {}
    if transforms is not None:
        found = speaker_transforms(transforms, model.pipeline.dim, model.hashes.get("tree"))
    return StoreSource(store, model.pipeline, found)


def speaker_transforms(path: Path, dim: int, tree_hash: str | None = None) -> dict[str, np.ndarray]:
    """Loads speakers' transforms, from a file or the folder that holds transforms.safetensors."""
    return load_transforms(path / "transforms.safetensors" if path.is_dir() else path, dim, tree_hash)


def audio_source(
    cuts: Path, static: FeatureConfig, cmvn: CmvnConfig, augment: AugmentConfig, trust: Any
) -> FeatureSource:
    """Computes features of audio when they are wanted; CMVN statistics are measured in a first pass."""
    source = AudioSource(str(cuts), FeaturePipeline(static=static, cmvn=cmvn), augment, trust)
    items, _ = source.items()
    if not items:
        raise InputError.at(cuts, "has no utterance that can be used", "Look at it with `hybrid data check`.")
    logger.info("CMVN statistics of %d utterances", len(items))
    pipeline, stats, failures = cmvn_of_audio(source, items, cmvn)
    return AudioSource(str(cuts), pipeline, augment, trust, stats if cmvn.kind == "speaker" else {}, failures)


def cross_entropy_task(model_dir: Path, ali: Path, smoothing: float, factor: int) -> Task:
    """Frame cross-entropy on alignments made with a model, for its tree.

    Args:
      factor: frame subsampling of the network.
    """
    model = load_model(model_dir)
    alignments = load_alignments(ali, model)
    aligned = model.acoustic_model.subsampling_factor
    pdf_ids = {utterance: spread(model.transition_model.pdf_ids[ids], aligned) for utterance, ids in alignments.items()}
    _warn_of_topology(model, factor)
    scorer = model.acoustic_model
    # Divided by the prior, posteriors are too sure of themselves, as frames are not independent.
    scales = (0.1, scorer.transition_scale, scorer.self_loop_scale)
    return Task(
        transition_model=model.transition_model,
        phones_path=Path(model.phones_path),
        targets=AlignmentTargets(pdf_ids, factor),
        objective=CrossEntropy(smoothing),
        head="xent",
        scales=scales,
        inputs={"alignments": ali / "ali.gz", "model": model_dir},
        settings={"smoothing": smoothing},
        with_prior=True,
    )


def acoustic_of(model_dir: Path) -> NetworkAcousticModel:
    """Returns the acoustic model of a network's folder.

    Raises:
      InputError: the folder holds no network.
    """
    acoustic = load_model(model_dir).acoustic_model
    if not isinstance(acoustic, NetworkAcousticModel):
        raise InputError.at(model_dir, "holds no network", "Name the folder of one (hybrid nnet train).")
    return acoustic


def network_of(model_dir: Path) -> Network:
    """Returns a trained network, to start another training from; see `acoustic_of`."""
    return acoustic_of(model_dir).network


def _warn_of_topology(model: Model, factor: int) -> None:
    states = max(len(entry.states) for entry in model.topology.entries)
    if factor > 1 and states > 1:
        logger.warning(
            "the network has one frame of scores for %d frames of features, and phones of %s have up to %d states: no "
            "phone can be shorter than %d ms. Set subsampling_factor: 1, or align with a chain tree", factor,
            model.path, states, round(1000 * model.pipeline.frame_shift * factor * states),
        )  # fmt: skip
