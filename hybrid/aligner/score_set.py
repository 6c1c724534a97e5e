"""Scores of a whole set on disk, for searches elsewhere."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hybrid.base.artifact import atomic_path, write_meta
from hybrid.base.doors import output_folder, paths_of
from hybrid.base.errors import HybridError
from hybrid.base.failures import write_failed
from hybrid.base.log import track
from hybrid.base.names import file_stem
from hybrid.feats.store import FeatureStore
from hybrid.formats.kaldi_io import write_matrices
from hybrid.model.folder import Model

__all__ = ["write_scores"]


def write_scores(model: Model, store: FeatureStore, out: str | os.PathLike, text: bool = False) -> tuple[int, int]:
    """Writes unscaled scores float32 [T'][num_pdfs] of every utterance, by `model.unadapted`.

    Args:
      out: a Kaldi archive if it ends in `.ark` or `.gz`, else a folder of `.npy` files; those that failed are listed
        in `NAME.failed.txt` beside the archive, or in `failed.txt` in the folder.

    Returns:
      How many were done, and how many failed.

    Raises:
      HybridError: all failed.
    """
    out = Path(out)
    failures: dict[str, str] = {}

    def items() -> Iterator[tuple[str, np.ndarray]]:
        for utterance in track(store.ids, "scoring"):
            try:
                yield utterance, model.scores(model.pipeline.features(store, utterance))
            except HybridError as error:
                failures[utterance] = str(error)

    model = model.unadapted
    model.pipeline.require_match(store)
    if out.suffix in (".ark", ".gz"):
        done = write_matrices(out, items(), text)
        _finish(model, store, out, out.with_name(out.name + ".failed.txt"), done, failures)
    else:
        with output_folder(out, "scores", paths_of([model, store]), "--out"):
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
            _finish(model, store, out, out / "failed.txt", done, failures)
    return done, len(failures)


def _finish(model: Model, store: FeatureStore, out: Path, report: Path, done: int, failures: Mapping[str, str]) -> None:
    write_failed(report, failures)
    if not done:
        name, reason = next(iter(failures.items()), ("", "the set is empty"))
        raise HybridError(f"{store.path}: no utterance could be scored; the first, {name}: {reason}")
    inputs: dict[str, Any] = {"features": (store.path, store.digest)}
    if model.path is not None:
        inputs |= {"model": model.path / "final.safetensors", "tree": model.path / "tree"}
    write_meta(out, "scores", {}, inputs, {"utterances": done, "failed": len(failures)})
