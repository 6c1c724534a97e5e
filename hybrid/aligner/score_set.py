"""Scores of a whole set on disk, for searches elsewhere."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hybrid.base.artifact import atomic_path, write_meta
from hybrid.base.doors import output_folder, paths_of
from hybrid.base.errors import HybridError, MismatchError, quote
from hybrid.base.failures import write_failed
from hybrid.base.log import track
from hybrid.base.names import file_stem
from hybrid.feats.store import FeatureStore
from hybrid.formats.kaldi_io import write_matrices
from hybrid.model.folder import Model

__all__ = ["ScoredBy", "write_joint_scores", "write_scores"]


@dataclass(frozen=True, eq=False)
class ScoredBy:
    """One of the models whose scores are added up.

    Attributes:
      store: features of the set, such as its pipeline begins with.
      transforms: speaker → fMLLR transform, of a model on adapted features.
      weight: of its scores in the sum.
    """

    model: Model
    store: FeatureStore
    transforms: Mapping[str, np.ndarray] = field(default_factory=dict)
    weight: float = 1.0

    def scores(self, utterance: str) -> np.ndarray:
        """Returns weighted scores of an utterance, float32 [T'][num_pdfs].

        Raises:
          HybridError: no features, or no transform of its speaker where there are transforms.
        """
        transform = None
        if self.transforms:
            speaker = self.store.speaker(utterance)
            if speaker not in self.transforms:
                raise HybridError(f"no transform for speaker '{quote(speaker)}'")
            transform = self.transforms[speaker]
        return self.weight * self.model.scores(self.model.pipeline.features(self.store, utterance, transform))


def write_scores(model: Model, store: FeatureStore, out: str | os.PathLike, text: bool = False) -> tuple[int, int]:
    """Writes unscaled scores float32 [T'][num_pdfs] of every utterance, by `model.unadapted`.

    Args, Returns and Raises: see `write_joint_scores`.
    """
    return write_joint_scores([ScoredBy(model.unadapted, store)], out, text)


def write_joint_scores(parts: Sequence[ScoredBy], out: str | os.PathLike, text: bool = False) -> tuple[int, int]:
    """Writes the sum of several models' weighted scores of every utterance.

    Networks that see the same speech by other features, or in other shapes, err elsewhere: the mean of their scores is
    better than each, if they score the pdfs of one tree.

    Args:
      parts: at least one.
      out: a Kaldi archive if it ends in `.ark` or `.gz`, else a folder of `.npy` files; those that failed are listed
        in `NAME.failed.txt` beside the archive, or in `failed.txt` in the folder.

    Returns:
      How many were done, and how many failed.

    Raises:
      MismatchError: models of different trees, or features of another kind than a model's.
      HybridError: all failed.
    """
    out = Path(out)
    failures: dict[str, str] = {}
    require_one_tree([part.model for part in parts])
    for part in parts:
        part.model.pipeline.require_match(part.store)

    def items() -> Iterator[tuple[str, np.ndarray]]:
        """Scores of each utterance; what fails is noted."""
        for utterance in track(parts[0].store.ids, "scoring"):
            try:
                yield utterance, _together([part.scores(utterance) for part in parts])
            except HybridError as error:
                failures[utterance] = str(error)

    if out.suffix in (".ark", ".gz"):
        done = write_matrices(out, items(), text)
        _finish(parts, out, out.with_name(out.name + ".failed.txt"), done, failures)
        return done, len(failures)
    with output_folder(
        out, "scores", paths_of([value for part in parts for value in (part.model, part.store)]), "--out"
    ):
        done = 0
        written: dict[str, str] = {}
        for utterance, rows in items():
            other = written.setdefault(file_stem(utterance), utterance)
            if other != utterance:
                failures[utterance] = f"its file would be that of '{other}'"
                continue
            with atomic_path(out / f"{file_stem(utterance)}.npy") as temporary:
                np.save(temporary, rows)
            done += 1
        _finish(parts, out, out / "failed.txt", done, failures)
    return done, len(failures)


def require_one_tree(models: Sequence[Model]) -> None:
    """Checks that models score the pdfs of one tree.

    Raises:
      MismatchError: they do not.
    """
    for model in models[1:]:
        if model.hashes.get("tree") != models[0].hashes.get("tree"):
            raise MismatchError(
                f"{model.path}: scores the pdfs of another tree than {models[0].path}. Train both on one tree."
            )


def _together(scores: Sequence[np.ndarray]) -> np.ndarray:
    frames = [len(rows) for rows in scores]
    if max(frames) - min(frames) > 1:
        raise HybridError(
            f"the models give {' and '.join(map(str, frames))} frames. Give features of the same frame rate"
        )
    return np.asarray(sum(rows[: min(frames)] for rows in scores), np.float32)


def _finish(parts: Sequence[ScoredBy], out: Path, report: Path, done: int, failures: Mapping[str, str]) -> None:
    write_failed(report, failures)
    if not done:
        name, reason = next(iter(failures.items()), ("", "the set is empty"))
        raise HybridError(f"{parts[0].store.path}: no utterance could be scored; the first, {name}: {reason}")
    inputs: dict[str, Any] = {}
    for number, part in enumerate(parts, 1):
        tail = f" {number}" if len(parts) > 1 else ""
        inputs[f"features{tail}"] = (part.store.path, part.store.digest)
        if part.model.path is not None:
            inputs |= {f"model{tail}": part.model.path / "final.safetensors", "tree": part.model.path / "tree"}
    settings = {"weights": [part.weight for part in parts]} if len(parts) > 1 else {}
    write_meta(out, "scores", settings, inputs, {"utterances": done, "failed": len(failures)})
