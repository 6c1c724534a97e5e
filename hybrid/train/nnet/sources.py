"""Where the features of a training come from: a feature store, or audio whose features are computed when wanted.

A source lists items (an utterance at a speed) with their frames, and gives the features of each as the model will see
them. `hybrid.train.nnet.data` cuts batches out of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol

import numpy as np

from hybrid.base.errors import HybridError, InputError
from hybrid.data.manifest import Cut, load_samples, manifest_path, usable_cuts
from hybrid.data.perturb import name_at_speed
from hybrid.data.trust import FILES_ONLY, Trust
from hybrid.feats.cmvn import CmvnConfig, CmvnStats
from hybrid.feats.config import FeatureConfig
from hybrid.feats.extract import FeatureExtractor
from hybrid.feats.pipeline import FeaturePipeline
from hybrid.feats.store import FeatureStore
from hybrid.train.nnet.augment import augment_samples, generator_of, num_samples_at, require_recordings
from hybrid.train.nnet.config import AugmentConfig

__all__ = ["AudioSource", "FeatureSource", "Item", "StoreSource", "cmvn_of_audio"]

_NAMES = (re.compile(r"sp(?P<speed>\d+\.?\d*)-(?P<name>.+)"),  # ours, and Kaldi's
          re.compile(r"(?P<name>.+?)_sp(?P<speed>\d+\.?\d*)(?:_vp\d+\.?\d*)?"))  # lhotse's  # fmt: skip


@dataclass(frozen=True)
class Item:
    """An utterance at a speed.

    Attributes:
      name: its id, sp0.9-ID at another speed than 1.
      utterance: id of what was said, whose alignment or supervision belongs to it.
      frames: of features. seconds: of audio.
    """

    name: str
    utterance: str
    speaker: str
    speed: float
    frames: int
    seconds: float


class FeatureSource(Protocol):
    """Items and their features; immutable, cheap to send to a worker."""

    @property
    def pipeline(self) -> FeaturePipeline: ...

    def items(self) -> tuple[list[Item], dict[str, str]]:
        """Lists the items, sorted by name, and why others cannot be used."""

    def cacheable(self) -> bool:
        """Whether an item's features are the same each time."""

    def features(self, item: Item, seed: int, epoch: int) -> np.ndarray:
        """Returns float32 [frames][pipeline.dim].

        Raises:
          HybridError: they cannot be had, or are not finite.
        """

    def inputs(self) -> dict[str, Any]:
        """What is read, by name, for meta.json."""


def _speed_of(name: str) -> tuple[float, str]:
    """Returns the speed that an utterance's name tells, and its name at speed 1."""
    for pattern in _NAMES:
        found = pattern.fullmatch(name)
        if found and 0.5 <= float(found["speed"]) <= 2.0:
            return float(found["speed"]), found["name"]
    return 1.0, name


@dataclass(frozen=True, eq=False)
class StoreSource:
    """Features of a store; utterances named sp0.9-ID (`hybrid data perturb-speed`) are ID at another speed.

    Attributes:
      speaker_transforms: speaker → fMLLR transform.
    """

    store: FeatureStore
    pipeline: FeaturePipeline
    speaker_transforms: Mapping[str, np.ndarray] = field(default_factory=dict)

    def items(self) -> tuple[list[Item], dict[str, str]]:
        """See `FeatureSource.items`."""
        self.pipeline.require_match(self.store)
        items = []
        for name in self.store.ids:
            speed, utterance = _speed_of(name)
            frames, seconds = self.store.num_frames(name), self.store.duration(name)
            items.append(Item(name, utterance, self.store.speaker(name), speed, frames, seconds))
        return items, {}

    def cacheable(self) -> bool:
        """See `FeatureSource.cacheable`."""
        return True

    def features(self, item: Item, seed: int, epoch: int) -> np.ndarray:
        """See `FeatureSource.features`."""
        return self.pipeline.features(self.store, item.name, self.speaker_transforms.get(item.speaker))

    def inputs(self) -> dict[str, Any]:
        """See `FeatureSource.inputs`."""
        return {"features": (self.store.path, self.store.digest)}


@dataclass(frozen=True, eq=False)
class AudioSource:
    """Cuts whose audio is read, varied and turned into features when wanted.

    Attributes:
      stats: CMVN statistics of each speaker at each speed (sp0.9-SPEAKER), where the pipeline normalises by speaker.
      failed: item → why its audio cannot be used, as far as it was read already.
    """

    path: str
    pipeline: FeaturePipeline
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    trust: Trust = FILES_ONLY
    stats: Mapping[str, CmvnStats] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)

    def items(self) -> tuple[list[Item], dict[str, str]]:
        """See `FeatureSource.items`.

        Raises:
          InputError: no manifest, or `require_recordings` finds nothing to draw from.
        """
        require_recordings(self.augment)
        cuts, failed = _cuts(self.path, self.trust)
        items, failures = [], {**dict(failed), **self.failed}
        static = self.pipeline.static
        for cut in cuts.values():
            count = round(cut.duration * cut.rate)
            for speed in self.augment.speeds:
                samples = num_samples_at(count, cut.rate, speed, static.sampling_rate)
                frames = static.num_frames(samples)
                name, speaker = name_at_speed(cut.id, speed), name_at_speed(cut.speaker, speed)
                if name in failures:
                    continue
                if frames:
                    items.append(Item(name, cut.id, speaker, speed, frames, cut.duration / speed))
                else:
                    failures[name] = "is shorter than one frame"
        return sorted(items, key=lambda item: item.name), failures

    def cacheable(self) -> bool:
        """See `FeatureSource.cacheable`."""
        return not self.augment.changes_samples

    def static(self, item: Item, seed: int, epoch: int) -> np.ndarray:
        """Returns the static features of an item."""
        cut = _cuts(self.path, self.trust)[0][item.utterance]
        config = self.pipeline.static
        samples, rate = load_samples(cut)
        generator = generator_of(seed, epoch, item.name)
        samples = augment_samples(samples, rate, item.speed, config.sampling_rate, self.augment, generator)
        features = _extractor(config)(samples, config.sampling_rate)
        if not len(features):
            raise InputError.at(item.name, "is shorter than one frame", "Leave it out.")
        return features

    def features(self, item: Item, seed: int, epoch: int) -> np.ndarray:
        """See `FeatureSource.features`."""
        return self.pipeline.apply(self.static(item, seed, epoch), self.stats.get(item.speaker))

    def inputs(self) -> dict[str, Any]:
        """See `FeatureSource.inputs`."""
        return {"cuts": manifest_path(self.path)}


@lru_cache(maxsize=4)
def _cuts(path: str, trust: Trust) -> tuple[dict[str, Cut], tuple[tuple[str, str], ...]]:
    cuts, failed = usable_cuts(path, trust)
    return {cut.id: cut for cut in cuts}, tuple(failed)


@lru_cache(maxsize=4)
def _extractor(config: FeatureConfig) -> FeatureExtractor:
    return FeatureExtractor(config)


def cmvn_of_audio(
    source: AudioSource, items: Sequence[Item], cmvn: CmvnConfig
) -> tuple[FeaturePipeline, dict[str, CmvnStats], dict[str, str]]:
    """Measures the CMVN statistics of a training set, without noise or rooms, in one pass over its audio.

    Returns:
      The pipeline with the mean of the training data as its prior, the statistics by speaker, and why items failed.

    Raises:
      HybridError: no item could be read.
    """
    import dataclasses

    plain = dataclasses.replace(source, augment=AugmentConfig(speeds=source.augment.speeds))
    stats: dict[str, CmvnStats] = {}
    failures: dict[str, str] = {}
    for item in items:
        try:
            features = plain.static(item, 0, 0)
            if not np.isfinite(features.sum(dtype=np.float64)):
                raise InputError.at(item.name, "gives NaN in features", "Mend the audio.")
        except HybridError as error:
            failures[item.name] = str(error)
            continue
        own = CmvnStats.of(features)
        stats[item.speaker] = stats[item.speaker] + own if item.speaker in stats else own
    if not stats:
        raise HybridError(f"{source.path}: no utterance could be read; the first: {next(iter(failures.values()), '')}")
    total = None
    for speaker in sorted(stats):
        total = stats[speaker] if total is None else total + stats[speaker]
    assert total is not None
    prior = dataclasses.replace(cmvn, prior_mean=tuple(total.mean.tolist()), prior_var=tuple(total.variance.tolist()))
    return dataclasses.replace(source.pipeline, cmvn=prior), stats, failures
