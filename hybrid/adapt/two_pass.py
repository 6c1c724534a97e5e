"""Two-pass decoding with fMLLR (Kaldi's decode_fmllr.sh): unadapted pass, transforms, adapted pass, better transforms.

OUT.si                         lattices of the speaker-independent pass
OUT.first                      lattices of the first adapted pass
OUT.transforms.N.safetensors   transforms after each pass
OUT                            lattices, transcript and times of the last pass
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hybrid.adapt.lattice_stats import LatticeStats, basis_of, gmm_of, next_transform
from hybrid.agreement import part_of, require_fit
from hybrid.base.artifact import content_hash, read_meta, write_meta
from hybrid.base.config import config_to_dict
from hybrid.base.doors import writes_into
from hybrid.base.integrity import state_of
from hybrid.base.jobs import map_in_order
from hybrid.base.log import get_logger
from hybrid.data.utterance import Utterance
from hybrid.decode.decode_set import DecodeOptions, DecodeTotals, decode_corpus
from hybrid.decode.reject import RejectConfig
from hybrid.decode.scoring import BATCH_FRAMES, or_reason, score_all
from hybrid.decode.sources import AudioFiles, FeatureFolder, open_store
from hybrid.decode.system import SystemSpec
from hybrid.gmm.adapt_config import AdaptConfig, FmllrConfig
from hybrid.gmm.basis_fmllr import FmllrBasis
from hybrid.gmm.fmllr import FmllrStats
from hybrid.gmm.speaker_transforms import load_transforms, save_transforms
from hybrid.lattice.archive import lattice_files, read_lattices
from hybrid.model.folder import Model, load_model
from hybrid.search.config import SearchConfig

if TYPE_CHECKING:
    import torch

__all__ = ["AdaptedSource", "decode_adapted", "estimate_transforms", "narrow"]

logger = get_logger(__name__)


def _model(path: str) -> Model:
    return _model_in_state(path, state_of(path))


@lru_cache(maxsize=1)
def _model_in_state(path: str, _state: object) -> Model:
    return load_model(path)


def _transforms(path: str | None, dim: int) -> dict[str, np.ndarray]:
    return {} if path is None else _transforms_in_state(path, dim, state_of(path))


@lru_cache(maxsize=2)
def _transforms_in_state(path: str, dim: int, _state: object) -> dict[str, np.ndarray]:
    return load_transforms(Path(path), dim)


@dataclass(frozen=True)
class AdaptedSource:
    """Utterances of a feature store or of audio files, scored on transformed features.

    Attributes:
      inner: the utterances.
      transforms: file of transforms, by speaker or utterance; None for none.
      per_utterance: transforms are by utterance.
      speaker_independent: score with the model's speaker-independent model, where it has one.
    """

    inner: FeatureFolder | AudioFiles
    transforms: str | None = None
    per_utterance: bool = False
    speaker_independent: bool = False

    def fingerprint(self) -> str:
        """See `ScoreSource.fingerprint`."""
        made = content_hash(self.transforms) if self.transforms else ""
        return f"{self.inner.fingerprint()} {made} {self.speaker_independent}"

    def utterances(self) -> tuple[list[Utterance], list[tuple[str, str]]]:
        """See `ScoreSource.utterances`."""
        return self.inner.utterances()

    def inputs(self) -> dict[str, Any]:
        """See `ScoreSource.inputs`."""
        found = self.inner.inputs()
        return found if self.transforms is None else {**found, "transforms": self.transforms}

    def key(self, item: Utterance) -> str:
        """Returns whose transform an utterance takes."""
        return item.id if self.per_utterance else self.inner.speaker(item)

    def features(self, model: Model, item: Utterance) -> np.ndarray:
        """Returns float32 [T][D]."""
        transform = _transforms(self.transforms, model.pipeline.dim).get(self.key(item))
        return self.inner.features(model, item, transform)

    def scores(
        self, model: Model, items: Sequence[Utterance], batch_frames: int = BATCH_FRAMES
    ) -> Iterator[np.ndarray | torch.Tensor | str]:
        """See `ScoreSource.scores`."""
        if self.speaker_independent and model.speaker_independent is not None:
            model = replace(model, acoustic_model=model.speaker_independent)
        if isinstance(self.inner, FeatureFolder):
            model.pipeline.require_match(open_store(self.inner.path))
        features = (or_reason(self.features, model, item) for item in items)
        yield from score_all(model, features, batch_frames)


@dataclass(frozen=True, eq=False)
class _Estimator:
    """What workers need to gather statistics from lattices.

    Attributes:
      source: whose features the statistics are of (transforms in force applied).
      items: the utterances by id.
    """

    model_dir: str
    source: AdaptedSource
    items: Mapping[str, Utterance]
    counting: LatticeStats

    def file(self, path: Path) -> list[tuple[str, FmllrStats]]:
        """Returns (whose, statistics) of each lattice of one archive."""
        model, result = _model(self.model_dir), []
        for utterance, lattice in read_lattices(path):
            item = self.items[utterance]
            features = self.source.features(model, item)
            result.append((self.source.key(item), self.counting.of(model, lattice, features)))
        return result


def estimate_transforms(
    estimator: _Estimator,
    lattice_dir: Path,
    before: Mapping[str, np.ndarray],
    fmllr: FmllrConfig,
    executor: Executor | None = None,
    basis: FmllrBasis | None = None,
) -> dict[str, np.ndarray]:
    """Estimates transforms from the posteriors of lattices, on top of those in force.

    Lattice archives are read one at a time and in order; a speaker's statistics are dropped once the last of his
    lattices was seen.

    Args:
      basis: for speakers with too little speech for a full transform.

    Returns:
      float32 [D][D + 1] by speaker or utterance; who has too little speech for that too keeps what was in force.
    """
    require_fit(part_of(lattice_dir, "lattices"), _model(estimator.model_dir).part)
    files = lattice_files(lattice_dir)
    left = Counter(estimator.source.key(item) for item in estimator.items.values())
    waiting: dict[str, FmllrStats] = {}
    found: dict[str, np.ndarray] = {}
    gain = frames = 0.0
    kept: list[str] = []

    def finish(key: str) -> None:
        """Estimates the transform of one key and takes its statistics off the list."""
        nonlocal gain, frames
        stats = waiting.pop(key)
        found[key], estimate = next_transform(stats, before.get(key), fmllr, basis)
        gain, frames = gain + estimate.gain * estimate.frames, frames + estimate.frames
        if estimate.reason:
            kept.append(f"{key}: {estimate.reason}")

    for part in map_in_order(_Estimator.file, files, executor, shared=estimator):
        for key, stats in part:
            if key in waiting:
                waiting[key] += stats
            else:
                waiting[key] = stats
            left[key] -= 1
            if left[key] == 0:
                finish(key)
    for key in list(waiting):
        finish(key)
    logger.info("fMLLR: %d transforms, gain %.4f per frame over %.0f frames", len(found), gain / max(frames, 1), frames)
    for line in kept:
        logger.info("fMLLR: kept as it was, %s", line)
    return found


@writes_into("lattices", "spec.model_dir", "spec.graph_dir", "source")
def decode_adapted(
    spec: SystemSpec,
    source: FeatureFolder | AudioFiles,
    out_dir: Path,
    silence_phones: Sequence[int],
    config: AdaptConfig | None = None,
    fmllr: FmllrConfig | None = None,
    options: DecodeOptions | None = None,
    executor: Executor | None = None,
) -> DecodeTotals:
    """Decodes features or audio files in three searches: without transforms, with first ones, and with final ones.

    Each search goes on where it was killed.

    Args:
      spec: model, graph and the widths of the last search.
      silence_phones: phones that count little in estimation.

    Raises:
      HybridError: nothing, or too much, could be decoded.
    """
    config, fmllr, out = config or AdaptConfig(), fmllr or FmllrConfig(), Path(out_dir)
    model = _model(spec.model_dir)
    gmm_of(model)
    scale = spec.search.of_model(model.acoustic_model.acoustic_scale).scale
    base = AdaptedSource(source, None, config.per_utterance)
    items = {item.id: item for item in source.utterances()[0]}
    si_search = narrow(spec.search, config.si_beam, config.si_max_active)
    first_search = narrow(spec.search, config.first_beam_adapted, config.first_max_active)
    passes = (
        (out.with_name(f"{out.name}.si"), replace(base, speaker_independent=True), si_search, True),
        (out.with_name(f"{out.name}.first"), base, first_search, False),
    )
    basis = basis_of(model)
    found: dict[str, np.ndarray] = {}
    transforms: str | None = None
    for number, (folder, adapted, search, first) in enumerate(passes, 1):
        adapted = replace(adapted, transforms=transforms)
        narrower = replace(spec, search=search, raw=True, second_pass=None, calibration=None, reject=RejectConfig())
        if not _is_done(folder, narrower, adapted):
            decode_corpus(narrower, adapted, folder, None, executor)
        counting = LatticeStats(scale, tuple(silence_phones), first, config)
        estimator = _Estimator(spec.model_dir, adapted, items, counting)
        found = {**found, **estimate_transforms(estimator, folder, found, fmllr, executor, basis)}
        path = out.with_name(f"{out.name}.transforms.{number}.safetensors")
        save_transforms(path, found, model.tree.content_hash())
        made_from = {"tree": Path(spec.model_dir) / "tree", "lattices": folder / "meta.json"}
        write_meta(path, "transforms", {"pass": number}, made_from, {"transforms": len(found)})
        transforms = str(path)
    return decode_corpus(spec, replace(base, transforms=transforms), out, options, executor)


def narrow(search: SearchConfig, beam: float, max_active: int) -> SearchConfig:
    """Returns widths that are at most so wide."""
    active = min(max_active, search.max_active)
    return replace(search, beam=min(beam, search.beam), max_active=active, min_active=min(search.min_active, active))


def _is_done(folder: Path, spec: SystemSpec, source: AdaptedSource) -> bool:
    """Tells whether a folder holds just this decoding."""
    meta = read_meta(folder) if folder.is_dir() else {}
    settings = meta.get("settings", {})
    return (
        settings.get("source") == source.fingerprint()
        and settings.get("spec") == json.loads(json.dumps(config_to_dict(spec), default=str))
        and meta.get("inputs", {}).get("model") == content_hash(Path(spec.model_dir) / "meta.json")
    )
